"""Neurons that receive their own spikes: by each kind of synapse, in floating point, quantized, and on the chip."""

import numpy as np
import pytest
import torch
from torch.nn.utils import prune

import pumice
from pumice import nn
from pumice.ir import latencies, torch_to_lava
from pumice.nn.rounding import straight_through

T = 12
FLOAT = {"dynamics": "float", "threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.2}


def block(kind, params):
    torch.manual_seed(2)
    forward, recurrent, shape = {
        "dense": lambda: (nn.DenseSynapse(6, 5), nn.DenseSynapse(5, 5), (6,)),
        "one to one": lambda: (nn.DenseSynapse(6, 5, bias=True), nn.OneToOneSynapse(5), (6,)),
        "conv": lambda: (nn.ConvSynapse(2, 3, 3), nn.ConvSynapse(3, 3, (3, 1), padding=(1, 0)), (2, 6, 5)),
        "one to one of images": lambda: (nn.ConvSynapse(2, 3, 3), nn.OneToOneSynapse(3), (2, 6, 5)),
    }[kind]()
    with torch.no_grad():
        forward.weight.normal_(0.1, 0.5 if forward.weight.ndim == 2 else 0.2)
        recurrent.weight.normal_(0, 0.8)
    return nn.Merge(params, forward, recurrent=recurrent), (torch.rand(2, *shape, T) < 0.5).float()


def by_a_loop(merge, x, late=0):
    """The definition, of neurons without a memory of their current."""
    current, found = merge.current(x), []
    decay = merge.neuron.voltage_decay.item()
    v = spike = torch.zeros_like(current[..., 0])
    for t in range(T):
        back = found[t - 1 - late] if t > late else torch.zeros_like(v)
        added = current[..., t] + merge.recurrent.linear(back[..., None], merge.recurrent.weight)[..., 0]
        v = (1 - decay) * (v * (1 - spike.detach())) + added
        distance = v - merge.neuron.threshold
        soft = merge.neuron.surrogate.derivative(distance.detach()) * distance
        spike = straight_through((distance > 0).float(), soft)
        found.append(spike)
    return torch.stack(found, -1)


KINDS = ["dense", "one to one", "conv", "one to one of images"]


def test_a_pruned_weight_is_computed_for_each_call():
    merge, x = block("dense", FLOAT)
    prune.l1_unstructured(merge.recurrent, "weight", amount=5)
    spikes = merge(x)
    spikes.sum().backward()
    merge.recurrent.weight_orig.data.neg_()
    again = merge(x)
    again.sum().backward()
    assert not torch.equal(again, spikes)


@pytest.mark.parametrize("kind", KINDS)
def test_spikes_and_gradients_in_floating_point_and_a_defect_shows(kind):
    merge, x = block(kind, FLOAT)
    parameters = [merge.synapses[0].weight, merge.recurrent.weight]
    spikes, expected = merge(x), by_a_loop(merge, x)
    assert 0.1 < spikes.mean() < 0.9
    assert torch.equal(spikes.detach(), expected.detach())
    assert not torch.equal(by_a_loop(merge, x, late=1), expected)
    steps = torch.linspace(-1, 2, spikes.numel()).reshape(spikes.shape)
    for own, other in zip(
        *(torch.autograd.grad((y * steps).sum(), parameters) for y in (spikes, expected)), strict=True
    ):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4)
        assert own.abs().max() > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dynamics", ["float", "slayer"])
def test_all_backends_fire_as_the_quantized_network(kind, dynamics):
    merge, x = block(kind, {**FLOAT, "dynamics": dynamics, "current_decay": 1.0 if "one" in kind else 0.5})
    model = torch.nn.Sequential(merge)
    pumice.quantize_(model, x)
    expected = model(x)
    assert 0.1 < expected.mean() < 0.9
    graph = pumice.lower(model, x)
    late = latencies(graph)[graph.outputs[0]]
    stream = torch_to_lava(x.numpy())[0].astype(np.int32)
    stream = np.concatenate([stream, np.zeros((late, *stream.shape[1:]), np.int32)])
    for backend in ("reference", "fast"):
        found = pumice.run(graph, stream, backend=backend).spikes[late:]
        np.testing.assert_array_equal(found, torch_to_lava(expected.detach().numpy())[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_quantized_one_goes_on_learning(kind):
    merge, x = block(kind, FLOAT)
    model = torch.nn.Sequential(merge)
    pumice.quantize_(model, x)
    model(x).sum().backward()
    weight = merge.recurrent.weight
    assert weight.grad.abs().max() > 0
    assert weight.grad.shape == weight.shape


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: (nn.DenseSynapse(6, 3), nn.DenseSynapse(3, 3, bias=True)),
            "a bias belongs to another of the synapses",
        ),
        (
            lambda: (nn.ConvSynapse(2, 2, 1), nn.ConvSynapse(2, 2, 3)),
            r"must keep the image's size.*got kernel \(3, 3\)",
        ),
        (lambda: (nn.ConvSynapse(2, 2, 1), nn.DenseSynapse(2, 2)), r"shape \(2, 4, 4\) cannot have a DenseSynapse"),
    ],
)
def test_what_no_recurrent_synapse_is(make, message):
    forward, recurrent = make()
    with pytest.raises(pumice.PumiceError, match=message):
        nn.Merge(FLOAT, forward, recurrent=recurrent)(torch.ones(1, 2, 4, 4, 3))
