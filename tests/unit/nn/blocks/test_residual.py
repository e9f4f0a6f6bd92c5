"""Residual blocks, their norms and shortcuts, and the linear read-out."""

from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

import pumice
from pumice import nn
from pumice.errors import InputError, LoweringError
from pumice.ir import Conv, OneToOne, from_stream, to_stream, torch_to_lava
from pumice.nn.norms.tdbn import momentum_of
from pumice.nn.surrogate import Rectangular
from pumice.quantization import quantize_

LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75}
TDBN = {**LIF, "norm": nn.TDBN}


def calibrated(model, x):
    """With the batch's statistics, and offsets that make it fire."""
    with torch.no_grad(), momentum_of(model, 1.0):
        for module in model.modules():
            if isinstance(module, nn.TDBN):
                module.shift += 0.1
        model(x)
    return model.eval()


@pytest.fixture
def x():
    return (torch.rand(4, 4, 6, 5, 7, generator=torch.Generator().manual_seed(0)) < 0.3).float()


def test_currents_are_summed_and_spikes_take_the_shortcut(x):
    torch.manual_seed(0)
    block = calibrated(nn.ResidualBlock(TDBN, 4, 4), x)
    first = block.first(x)
    main, shortcut = block.sum.synapses
    expected = block.sum.neuron(main(first) + shortcut(x))
    assert torch.equal(block(x), expected)
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(expected, block.sum.neuron(main(first)))


def test_each_norm_has_its_share_of_the_variance(x):
    block = nn.Bottleneck(TDBN, 4, 2, stride=2)
    first, second, last = block.first.synapses[0], block.second.synapses[0], block.sum.synapses[0]
    assert [synapse.norm.alpha for synapse in (first, second)] == [1.0, 1.0]
    assert [synapse.norm.alpha for synapse in block.sum.synapses] == [2**-0.5] * 2
    assert {synapse.norm.threshold for synapse in (first, second, last)} == {0.5}


def test_shortcuts():
    def kinds(block):
        return type(block.sum.synapses[1]), block.sum.synapses[1].norm is None

    assert kinds(nn.ResidualBlock(TDBN, 4, 4)) == (nn.IdentitySynapse, False)
    assert kinds(nn.ResidualBlock(TDBN, 4, 4, identity_norm=False)) == (nn.IdentitySynapse, True)
    assert kinds(nn.ResidualBlock(TDBN, 4, 4, stride=2)) == (nn.ConvSynapse, False)
    assert kinds(nn.ResidualBlock(TDBN, 4, 8, identity_norm=False)) == (nn.ConvSynapse, False)
    assert kinds(nn.Bottleneck(TDBN, 8, 2)) == (nn.IdentitySynapse, False)
    assert kinds(nn.Bottleneck(LIF, 4, 2)) == (nn.ConvSynapse, True)


def test_gradient_and_surrogate_are_the_papers_by_default():
    block = nn.ResidualBlock(TDBN, 4, 4)
    for neuron in (block.first.neuron, block.sum.neuron):
        assert neuron.gradient == nn.STBP()
        assert not neuron.gradient.detaches_reset
        assert neuron.surrogate == Rectangular(1.0)
    assert nn.ResidualBlock(TDBN, 4, 4, gradient="stbp-detached").sum.neuron.gradient.detaches_reset
    assert nn.ResidualBlock(TDBN, 4, 4, gradient="slayer").sum.neuron.gradient.name == "slayer"
    assert nn.ResidualBlock({**TDBN, "gradient": "slayer"}, 4, 4).first.neuron.gradient.name == "slayer"
    params = {**TDBN, "surrogate": "triangle"}
    assert nn.ResidualBlock(params, 4, 4).first.neuron.surrogate != Rectangular(1.0)


@pytest.mark.parametrize("kind", [nn.ResidualBlock, partial(nn.Bottleneck)])
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"identity_norm": False}])
def test_a_block_lowers_without_difference(x, kind, options):
    torch.manual_seed(1)
    channels = 4 if kind is nn.ResidualBlock else 1
    model = calibrated(torch.nn.Sequential(kind(TDBN, 4, channels, **options)), x)
    graph = pumice.lower(model, x)
    expected = torch_to_lava(model(x).detach().numpy())
    stream = to_stream(graph, torch_to_lava(x.numpy()).astype(int))
    assert_array_equal(from_stream(graph, pumice.run(graph, stream).spikes, len(x)), expected)
    assert 0.02 < expected.mean() < 0.98
    shortcut = next(s for s in graph.synapses if s.source == "input" and s.target.endswith("sum"))
    assert isinstance(shortcut, Conv if "stride" in options else OneToOne)
    assert shortcut.balance_steps == graph.latency - 1


def test_a_whole_block_is_fine_tuned_through_its_integers(x):
    torch.manual_seed(0)
    model = calibrated(nn.ResidualBlock(TDBN, 4, 4), x)
    quantize_(model, x)
    model.train()(x).sum().backward()
    for name, parameter in model.named_parameters():
        if name.endswith(("weight", "scale", "shift")):
            assert parameter.grad.abs().sum() > 0, name


class Head(torch.nn.Module):
    def __init__(self, lif=LIF):
        super().__init__()
        self.hidden = nn.Merge(lif, nn.LinearSynapse(4, 6, positions=30))
        self.output = nn.Merge(lif, nn.LinearSynapse(6, 3))

    def forward(self, x):
        return self.output(self.hidden(x))


def test_linear_synapse_is_mean_then_linear(x):
    synapse = nn.LinearSynapse(4, 6, positions=30)
    expected = torch.nn.functional.linear(x.mean((2, 3)).movedim(1, -1), synapse.weight, synapse.bias).movedim(-1, 1)
    torch.testing.assert_close(synapse(x), expected)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 4, 5, 5, 3), "averages 30 positions, got 5 x 5"), ((2, 4, 3), "got neurons without positions")],
)
def test_another_image_than_the_synapses_is_refused(shape, message):
    with pytest.raises(InputError, match=message):
        nn.LinearSynapse(4, 6, positions=30)(torch.ones(shape))


def test_the_head_lowers_to_one_dense_synapse_each_without_difference(x):
    torch.manual_seed(0)
    model = Head().eval()
    with torch.no_grad():
        model.hidden.synapses[0].weight *= 8
        model.output.synapses[0].weight *= 3
    before = model(x)
    graph = pumice.lower(model, x)
    after = model(x)
    assert [s.weight.shape for s in graph.synapses] == [(6, 120), (3, 6)]
    assert all(np.abs(s.weight).max() > 100 for s in graph.synapses)  # rescaled to 8 bits, not SLAYER's 1/32
    assert all(np.any(p.bias_mant) for p in graph.populations)
    stream = to_stream(graph, torch_to_lava(x.numpy()).astype(int))
    got = from_stream(graph, pumice.run(graph, stream).spikes, len(x))
    assert_array_equal(got, torch_to_lava(after.detach().numpy()))
    assert (before != after).float().mean() < 0.05
    assert 0.02 < got.mean() < 0.98


def test_a_bias_before_a_current_with_memory_is_refused(x):
    with pytest.raises(LoweringError, match="a norm or bias need current_decay=1"):
        quantize_(Head({**LIF, "current_decay": 0.5}), x)
