import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import pumice
from pumice.errors import InputError, InternalError
from pumice.frameworks.converting import convert
from pumice.frameworks.facts import Feedback
from pumice.frameworks.kinds import OneToOne
from pumice.ir import latencies, torch_to_lava


def networks(toy):
    """By name, with the shape of their input."""
    torch.manual_seed(6)
    back = {
        "linear": lambda: nn.Linear(8, 8),
        "without bias": lambda: nn.Linear(8, 8, bias=False),
        "each neuron": lambda: OneToOne(torch.randn(8)),
        "all alike": lambda: OneToOne(0.7),
    }
    rows = {
        f"{name}, {kind}": (
            nn.Sequential(nn.Linear(6, 8), toy.Lif(recurrent=make(), **options), nn.Linear(8, 4), toy.Lif(0.6)),
            (6,),
        )
        for name, make in back.items()
        for kind, options in {
            "plain": {},
            "thresholds": {"threshold": 0.5 + torch.rand(8)},
            "late": {"late": True, "gain": 0.5},
            "memory": {"alpha": 0.5},
            "memory, late": {"alpha": 0.5, "late": True},
        }.items()
    }
    conv = nn.Conv2d(3, 3, 3, padding=1)
    images = {
        f"{name}, {late}": (
            nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), toy.Lif(recurrent=make, late=late)),
            (2, 6, 5),
        )
        for name, make in {"conv": conv, "one to one of an image": OneToOne(torch.randn(3, 1, 1))}.items()
        for late in (False, True)
    }
    found = {**rows, **images}
    with torch.no_grad():
        for network, _ in found.values():
            network[0].weight.normal_(0.3, 1.0)
            if isinstance(network[2], nn.Linear):
                network[2].weight.normal_(0.4, 1.0)
            recurrent = network[1 if len(network) == 4 else 2].recurrent
            if isinstance(recurrent, nn.Linear):
                recurrent.weight *= 2
                if recurrent.bias is not None:
                    recurrent.bias.normal_(0.3, 0.3)
            elif isinstance(recurrent, nn.Conv2d):
                recurrent.bias.fill_(0.2)
    return {name: (network.eval(), shape) for name, (network, shape) in found.items()}


def names():
    back = ("linear", "without bias", "each neuron", "all alike")
    kinds = ("plain", "thresholds", "late", "memory", "memory, late")
    images = [f"{n}, {late}" for n in ("conv", "one to one of an image") for late in (False, True)]
    return [f"{name}, {kind}" for name in back for kind in kinds] + images


@pytest.mark.parametrize("name", names())
def test_the_spikes_are_the_frameworks(toy, spikes, name):
    network, shape = networks(toy)[name]
    x = spikes(3, *shape, 14)
    found = convert(network, x[..., 0], toy.framework, approximate=False)
    expected = toy.run(network, x)
    assert 0.02 < expected.mean() < 0.9
    assert torch.equal(found(x), expected)


@pytest.mark.parametrize("name", ["linear, plain", "linear, memory, late", "each neuron, thresholds", "conv, True"])
def test_it_trains_and_lowers(toy, spikes, name):
    network, shape = networks(toy)[name]
    x = spikes(3, *shape, 14)
    found = convert(network, x[..., 0], toy.framework, approximate=False)
    before = found(x)
    found.train()(x).sum().backward()
    assert found.get_submodule("2" if len(shape) > 1 else "1").recurrent.weight.grad.abs().max() > 0
    graph = pumice.lower(found.eval(), x)
    assert_equal_on(graph, found(x), x, "reference", "fast")
    assert (found(x) != before).float().mean() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linear, memory, late", "each neuron, plain", "conv, True"])
def test_lava_fires_as_the_quantized_network(toy, spikes, name):
    network, shape = networks(toy)[name]
    x = spikes(1, *shape, 8)
    found = convert(network, x[..., 0], toy.framework, approximate=False)
    graph = pumice.lower(found, x)
    assert_equal_on(graph, found(x), x, "reference", "fast", "lava")


def assert_equal_on(graph, expected, x, *backends):
    late = latencies(graph)[graph.outputs[0]]
    stream = torch_to_lava(x.numpy())[0].astype(np.int32)
    stream = np.concatenate([stream, np.zeros((late, *stream.shape[1:]), np.int32)])
    assert expected.any()
    for backend in backends:
        got = pumice.run(graph, stream, backend=backend).spikes[late:]
        np.testing.assert_array_equal(got, torch_to_lava(expected.detach().numpy())[0])


@pytest.mark.parametrize("planted", ["no feedback", "a step late", "early bias", "another weight"])
def test_feedback_that_is_read_otherwise_is_seen(toy, spikes, planted):
    """The planted defects of an adapter."""
    network, shape = networks(toy)["linear, late"]

    def read(path, module):
        found = toy.read(path, module)
        if found is None or found.feedback is None:
            return found
        wrong = {
            "no feedback": None,
            "a step late": Feedback((nn.Linear(8, 8, bias=False),), starts_late=True),
            "early bias": Feedback(found.feedback.modules),
            "another weight": Feedback((OneToOne(1.0),), starts_late=True),
        }
        return dataclasses.replace(found, feedback=wrong[planted])

    with pytest.raises(InternalError, match="layers 1 give other spikes"):
        convert(network, spikes(80, *shape), dataclasses.replace(toy.framework, neuron=read), approximate=False)


@pytest.mark.parametrize(
    ("recurrent", "message"),
    [
        (lambda: nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)), "without a norm, got .* behind a norm"),
        (nn.ReLU, "module '1': layers between neurons must be .*got .*ReLU"),
    ],
)
def test_what_own_spikes_cannot_become(toy, spikes, recurrent, message):
    network = nn.Sequential(nn.Linear(6, 8), toy.Lif(recurrent=recurrent())).eval()
    with pytest.raises(InputError, match=message):
        convert(network, spikes(3, 6), toy.framework, approximate=False)
