"""Output neurons that inhibit each other: spikes, both gradients, and the chip's integers."""

import pytest
import torch
from numpy.testing import assert_array_equal

import pumice
from pumice import nn
from pumice.errors import InputError, LoweringError
from pumice.ir import from_stream, to_stream, torch_to_lava
from pumice.models import feedforward
from pumice.nn.neurons.inhibition import from_neighbors
from pumice.nn.neurons.psp import Membrane
from pumice.quantization import quantize_
from pumice.testing import check_exact

TAU_S, THRESHOLD, STRENGTH = 8.0, 1.5, 1.0
SLOW = {"current_decay": 1 / TAU_S, "voltage_decay": 1 / 64}
PARAMS = {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.25}


class Scripted(nn.CubaNeuron):
    """Fires as it is told, whatever it receives."""

    def spikes_by_slayer(self, input):
        return self.script.to(input.dtype)


def effect(into, sent, membrane, lag):
    """Potential that one train built up in a neuron at its spikes, pair of spikes by pair."""
    k, total, last = membrane.response(len(into)), 0.0, None
    for f in torch.nonzero(into).flatten().tolist():
        for g in (torch.nonzero(sent).flatten() + lag).tolist():
            total += k[f - g] if g <= f else 0.0
            if last is not None and g <= last:
                total -= k[last - g] * membrane.keep_voltage ** (f - last)
        last = f
    return total


def literal(x, y, weight, slopes, membrane, *, sign=-1, over_threshold=1 / THRESHOLD, lag=1, everyone=False):
    """The gradient of the weights for one sample, written as in the paper's code, two sums over pairs."""
    n, active, o = len(weight), (x.sum(-1) > 0).tolist(), y.sum(-1).tolist()
    e = [
        [effect(y[j], x[i], membrane, 0) if o[j] else 0.1 * TAU_S * active[i] for i in range(len(x))]
        for j in range(n)
    ]
    ratio = [
        [effect(y[i], y[j], membrane, lag) / o[j] if o[i] and o[j] else TAU_S for j in range(n)] for i in range(n)
    ]
    d = [over_threshold if o[j] or slopes[j] < 0 or everyone else 0.0 for j in range(n)]
    found = torch.zeros_like(weight)
    for j in range(n):
        s = (
            sum(weight[j, i] * (e[j][i] / o[j] if o[j] else 0.5 * TAU_S * active[i]) for i in range(len(x)))
            / THRESHOLD
        )
        others = sum(ratio[k][j] * ratio[j][k] * d[k] * d[j] for k in range(n) if k != j)
        for i in range(len(x)):
            found[j, i] = slopes[j] / THRESHOLD * e[j][i] * (1 + s) / (1 + sign * STRENGTH**2 * others)
    return found


def test_hm2bps_gradient_is_that_of_the_pairs():
    """With output neurons that are silent and should be, and should not; and each planted defect is seen."""
    generator = torch.Generator().manual_seed(0)
    x, y = ((torch.rand(3, n, 25, generator=generator) < p).double() for n, p in ((6, 0.25), (4, 0.15)))
    y[0, 3] = y[1, 0] = y[2, 0] = x[1, 2] = 0
    slopes = torch.tensor([[1.0, -1.0, 0.5, -2.0], [0.0, 1.0, -0.5, 1.0], [-1.0, 0.5, -0.5, 1.0]]).double()
    layer = nn.LateralInhibition({"threshold": THRESHOLD, **SLOW}, 6, 4, strength=STRENGTH).double()
    rule = nn.HM2BP(least_self_effect=None, largest_self_effect=None, largest_lateral_effect=None)
    layer.neuron = Scripted(threshold=THRESHOLD, **SLOW, gradient=rule)
    layer.neuron.script = y
    layer.synapse.pre_hook_fx = None
    weight = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    layer.synapse.weight.data = weight.view(4, 6, 1, 1, 1).clone()
    (layer(x).sum(-1) * slopes).sum().backward()
    membrane, found = Membrane.of(layer.neuron, "neuron"), layer.synapse.weight.grad.view(4, 6)

    def written_out(**defects):
        return sum(
            literal(*sample, **defects) for sample in ((x[b], y[b], weight, slopes[b], membrane) for b in range(3))
        )

    torch.testing.assert_close(found, written_out(), rtol=1e-10, atol=1e-10)
    for defect in ({"sign": 1}, {"sign": 0}, {"over_threshold": 1.0}, {"lag": 0}, {"everyone": True}):
        assert not torch.allclose(found, written_out(**defect), rtol=1e-4), defect


def test_what_stands_in_for_silent_neurons_is_what_the_others_meet_or_nothing_is():
    """Stand-ins count as spikes; what `silent_reach` puts at the last step reaches nobody, and changes no factor."""
    generator = torch.Generator().manual_seed(0)
    x, y = ((torch.rand(1, n, 24, generator=generator) < p).double() for n, p in ((6, 0.25), (4, 0.15)))
    y[0, 3] = 0
    replaced = y.clone()
    replaced[0, 3, 3::4] = 1
    slopes = torch.tensor([[1.0, -1.0, 0.5, -2.0]]).double()
    weight, grads = torch.randn(4, 6, 1, 1, 1, generator=generator, dtype=torch.float64), {}
    for name, script, options in (
        ("plain", y, {}),
        ("reach", y, {"silent_reach": 9.0}),
        ("stand in", y, {"stand_in": 4}),
        ("fired", replaced, {}),
    ):
        layer = nn.LateralInhibition({"threshold": THRESHOLD, **SLOW}, 6, 4, strength=STRENGTH).double()
        none = {"least_self_effect": None, "largest_self_effect": None, "largest_lateral_effect": None}
        layer.neuron = Scripted(threshold=THRESHOLD, **SLOW, gradient=nn.HM2BP(**none, **options).of_output())
        layer.neuron.script, layer.synapse.pre_hook_fx, layer.synapse.weight.data = script, None, weight.clone()
        (layer(x).sum(-1) * slopes).sum().backward()
        grads[name] = layer.synapse.weight.grad.view(4, 6)
    torch.testing.assert_close(grads["stand in"], grads["fired"], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(grads["reach"][:3], grads["plain"][:3], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(grads["fired"][:3], grads["plain"][:3], rtol=1e-3)


def test_the_factor_is_bounded_unless_the_papers_equation_is_wanted():
    """Two neurons that inhibit each other so strongly that the linear response has its pole behind it."""
    grads = {}
    for largest in (None, 4.0, 1.0):
        layer = nn.LateralInhibition({"threshold": 1.0, **SLOW}, 1, 2, strength=4.0)
        layer.neuron = Scripted(threshold=1.0, **SLOW, gradient=nn.HM2BP(largest_lateral_effect=largest))
        layer.neuron.script = torch.ones(1, 2, 10)
        layer(torch.ones(1, 1, 10)).sum().backward()
        grads[largest] = layer.synapse.weight.grad.flatten()[0].item()
        layer.zero_grad()
    assert grads[4.0] == pytest.approx(4 * grads[1.0])
    assert grads[None] < 0 < grads[1.0]
    with pytest.raises(InputError, match=r"largest_lateral_effect must be a factor >= 1, or None, got 0\.5"):
        nn.HM2BP(largest_lateral_effect=0.5)


@pytest.mark.parametrize("deployed", [False, True])
@pytest.mark.parametrize("gradient", ["slayer", "hm2bp"])
def test_spikes_are_those_of_a_recurrent_layer(gradient, deployed):
    torch.manual_seed(0)
    layer = nn.LateralInhibition({**PARAMS, "gradient": gradient}, 20, 10, strength=0.75, weight_scale=5)
    other = nn.Recurrent(PARAMS, 20, 10)
    other.input_synapse.weight.data = layer.synapse.weight.data
    other.recurrent_synapse.weight.data = layer.recurrent_synapse.weight.data
    x = (torch.rand(4, 20, 15) < 0.3).float()
    if deployed:
        quantize_(torch.nn.Sequential(layer), x)
        quantize_(torch.nn.Sequential(other), x)
    spikes = layer(x)
    assert torch.equal(spikes, other(x))
    with torch.no_grad():
        assert torch.equal(layer(x), spikes)
    assert 0.05 < spikes.mean() < 0.9
    assert not torch.equal(spikes, nn.Dense.forward(layer, x))  # nobody inhibits
    spikes.sum().backward()
    assert layer.synapse.weight.grad.abs().sum() > 0
    assert layer.recurrent_synapse.weight.grad is None


@pytest.mark.parametrize("gradient", ["slayer", "stbp"])
def test_inhibition_is_a_current_from_outside_for_gradients_of_neurons(gradient):
    torch.manual_seed(0)
    params = {**PARAMS, "current_decay": 1.0, "gradient": gradient}
    layer = nn.LateralInhibition(params, 6, 5, weight_scale=6)
    x, slopes = (torch.rand(3, 6, 12) < 0.4).float(), torch.randn(5, 12)
    spikes = layer(x)
    (spikes * slopes).sum().backward()
    found = layer.synapse.weight.grad.clone()
    layer.zero_grad()
    current = layer.synapse(x) + from_neighbors(spikes.detach(), -(1 - torch.eye(5)))
    (nn.CubaNeuron(**params)(current) * slopes).sum().backward()
    assert found.abs().sum() > 0
    assert torch.equal(found, layer.synapse.weight.grad)


def lowered():
    torch.manual_seed(0)
    params = {**PARAMS, "gradient": "hm2bp"}
    net = feedforward(params, (1, 5, 4), 6, layers=12, weight_scale=6, lateral_inhibition=0.5)
    x = (torch.rand(3, 1, 5, 4, 10) < 0.3).float()
    quantize_(net, x)
    return net, x, pumice.lower(net, x)


def test_it_is_a_recurrent_edge_with_fixed_integers():
    net, x, graph = lowered()
    stream, expected = to_stream(graph, torch_to_lava(x.numpy()).astype(int)), torch_to_lava(net(x).detach().numpy())
    (edge,) = (s for s in graph.synapses if s.source == s.target == "output")
    assert_array_equal(edge.weight, [[0 if i == j else -32 for i in range(6)] for j in range(6)])
    assert_array_equal(from_stream(graph, pumice.run(graph, stream).spikes, 3), expected)
    assert 0.05 < expected.mean() < 0.95
    bare = graph.replace(synapses=tuple(s for s in graph.synapses if s is not edge))
    assert (from_stream(graph, pumice.run(bare, stream).spikes, 3) != expected).any()


@pytest.mark.lava
def test_every_backend_gives_the_same_integers():
    net, x, graph = lowered()
    assert check_exact(net, graph, x, backends=("fast", "lava-in-threads")) > 5_000


def test_training_leaves_the_inhibition_alone():
    torch.manual_seed(0)
    layer = nn.LateralInhibition({**PARAMS, "gradient": "hm2bp"}, 4, 3, weight_scale=6)
    before = layer.matrix().clone()
    optimizer = torch.optim.AdamW(layer.parameters(), 0.1, weight_decay=0.1)
    start = layer.synapse.weight.detach().clone()
    layer(torch.ones(2, 4, 5)).sum().backward()
    optimizer.step()
    assert not torch.equal(start, layer.synapse.weight)
    assert torch.equal(layer.matrix(), before)


def test_what_does_not_fit_is_refused():
    for strength, n in ((0.0, 3), (-1.0, 3), (4.5, 3), (float("nan"), 3), (1.0, 1)):
        with pytest.raises(InputError, match=r"strength must lie in 0\.03125\.\.4, .* and out_neurons be >= 2, got"):
            nn.LateralInhibition(PARAMS, 2, n, strength=strength)
    with pytest.raises(InputError, match=r"can have neither a norm, .* got norm TDBN and persistent_state=False"):
        nn.LateralInhibition({**PARAMS, "norm": nn.TDBN}, 2, 3)
    with pytest.raises(InputError, match="got norm NoneType and persistent_state=True"):
        nn.LateralInhibition({**PARAMS, "persistent_state": True}, 2, 3)
    with pytest.raises(LoweringError, match="export_hdf5 cannot write a LateralInhibition"):
        nn.LateralInhibition(PARAMS, 2, 3).export_hdf5(None)


def test_a_rule_of_ones_own_without_a_term_for_it_is_refused():
    class Own(nn.HM2BP):
        inhibited_spikes = nn.neurons.gradient.LayerRule.inhibited_spikes

    layer = nn.LateralInhibition({**PARAMS, "gradient": Own()}, 2, 3)
    with pytest.raises(InputError, match='"hm2bp" is not defined for lateral inhibition'):
        layer(torch.ones(1, 2, 4))
