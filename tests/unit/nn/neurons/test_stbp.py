"""STBP's gradient against torch's own differentiation of the neuron's equations, and the spikes against SLAYER's."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm, WgtScaleBatchNorm

from pumice.errors import InputError
from pumice.nn import STBP, TDBN, Conv, CubaNeuron, Dense, set_gradient_
from pumice.nn.neurons.stbp import _chip_voltage, _voltage_factor
from pumice.nn.surrogate import Rectangular, Surrogate

TAU = 0.5
PARAMS = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 1 - TAU, "surrogate": Rectangular(1.5)}


class Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v, threshold):
        ctx.save_for_backward(v - threshold)
        return (v >= threshold).float()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x.abs() < 0.75) / 1.5, None


def written_out(x, threshold, reset):
    """The paper's iterative neuron; torch differentiates it."""
    v, s, spikes = x.new_zeros(()), x.new_zeros(()), []
    for t in range(x.shape[-1]):
        kept = v * (1 - (s if reset == "full" else s.detach()))
        if reset == "none":  # the value of a reset, the derivative of none
            kept = v + (kept - v).detach()
        v = TAU * kept + x[..., t]
        s = Step.apply(v, threshold)
        spikes.append(s)
    return torch.stack(spikes, -1)


@pytest.fixture
def x():
    # On a grid of 1/64, five halvings stay on SLAYER's grid of 1/4096: no rounding, so both compute alike.
    generator = torch.Generator().manual_seed(0)
    return torch.randint(-20, 60, (3, 7, 6), generator=generator).float() / 64


@pytest.fixture
def weights():
    return torch.randn(3, 7, 6, generator=torch.Generator().manual_seed(1))


def gradient_of(function, x, weights):
    x = x.clone().requires_grad_()
    spikes = function(x)
    (spikes * weights).sum().backward()
    return spikes.detach(), x.grad


@pytest.mark.parametrize(("gradient", "reset"), [("stbp", "full"), ("stbp-detached", "detached"), ("slayer", "none")])
def test_each_gradient_is_that_of_its_equations(x, weights, gradient, reset):
    neuron = set_gradient_(CubaNeuron(**PARAMS), gradient)
    threshold = neuron.threshold + neuron.threshold_eps
    spikes, got = gradient_of(neuron, x, weights)
    expected_spikes, expected = gradient_of(lambda x: written_out(x, threshold, reset), x, weights)
    assert torch.equal(spikes, expected_spikes)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    assert 0.1 < spikes.mean() < 0.9
    for other in {"full", "detached", "none"} - {reset}:
        wrong = partial(written_out, threshold=threshold, reset=other)
        assert not torch.allclose(expected, gradient_of(wrong, x, weights)[1])


@pytest.mark.parametrize("deployed", [False, True])
@pytest.mark.parametrize("norm", [None, TDBN])
@pytest.mark.parametrize("gradient", ["stbp", "stbp-detached"])
@pytest.mark.parametrize("surrogate", ["dspike", "triangle"])
@pytest.mark.filterwarnings("ignore:CubaNeuron uses SLAYER's own loops")
def test_float64_has_the_gradient_of_float32(x, weights, deployed, norm, gradient, surrogate):  # noqa: PLR0917
    """Not SLAYER's, which such inputs had."""
    neuron = CubaNeuron.of(CubaNeuron(**{**PARAMS, "norm": norm, "surrogate": surrogate}, gradient=gradient))
    x = x * 64 if deployed else x
    neuron(x)
    if deployed:
        neuron.deploy(vth_mant=32)
    spikes, got = gradient_of(neuron, x.double(), weights.double())
    expected_spikes, expected = gradient_of(neuron, x, weights)
    assert spikes.dtype == got.dtype == torch.float64
    assert torch.equal(spikes.float(), expected_spikes)
    torch.testing.assert_close(got.float(), expected, rtol=1e-5, atol=1e-6)
    slayer = gradient_of(set_gradient_(neuron, "slayer"), x, weights)[1]
    assert not torch.allclose(slayer, expected, rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize("deployed", [False, True])
@pytest.mark.parametrize("norm", [None, TDBN])
def test_a_state_that_is_carried_on_leaves_the_gradient_within_a_batch(x, weights, norm, deployed):
    """A first batch from rest has the gradient that neurons have which carry nothing; spikes are SLAYER's in each."""
    made = {}
    for name, options in {"rest": {}, "kept": {"persistent_state": True}}.items():
        made[name] = CubaNeuron.of(CubaNeuron(**{**PARAMS, "norm": norm}, gradient="stbp", **options))
        if norm:
            made[name].norm.set_features(7)
            made[name].eval()
        if deployed:
            made[name].deploy(vth_mant=32)
    x = x * 64 if deployed else x
    slayer = set_gradient_(copy.deepcopy(made["kept"]), "slayer")
    spikes, got = gradient_of(made["kept"], x, weights)
    torch.testing.assert_close(got, gradient_of(made["rest"], x, weights)[1])
    assert torch.equal(spikes, slayer(x))
    assert torch.equal(made["kept"](x.requires_grad_()), slayer(x))
    assert torch.equal(made["kept"].voltage_state, slayer.voltage_state)
    assert slayer.voltage_state.any()


def test_spikes_are_slayers_where_its_grid_is_no_power_of_two():
    """There a current that is rounded twice, to the grid and from it, may lose a step of the grid."""
    neuron = CubaNeuron(threshold=0.5, current_decay=1.0, voltage_decay=0.03, scale=100, gradient="stbp")
    x = torch.randn(4, 600, 63, generator=torch.Generator().manual_seed(0))
    spikes = neuron(x.requires_grad_())
    with torch.no_grad():
        assert torch.equal(spikes, neuron(x))


@pytest.mark.parametrize("norm", [None, TDBN])
@pytest.mark.parametrize("gradient", ["stbp", "stbp-detached"])
def test_a_neuron_that_fires_at_a_large_threshold_was_reset(gradient, norm):
    """From 64 on float32 loses what SLAYER adds to a threshold, so that a voltage equal to it fires."""
    slope = 1 / 1024
    params = {**PARAMS, "threshold": 64.0, "surrogate": Rectangular(1 / slope), "gradient": gradient}
    neuron = CubaNeuron.of(CubaNeuron(**params, norm=norm))
    if norm:
        neuron.norm.eps = 0.0  # the current is the input
    spikes, got = gradient_of(neuron, torch.tensor([[[64.0, -64.0]]]), torch.tensor([0.0, 1.0]))
    assert spikes.tolist() == [[[1.0, 0.0]]]
    through_reset = -slope * TAU * 64.0 * slope if gradient == "stbp" else 0.0
    assert (neuron.norm.shift.grad if norm else got.sum()).item() == pytest.approx(slope + through_reset)


@pytest.mark.parametrize("surrogate", ["rectangular", "exponential", "dspike"])
@pytest.mark.parametrize("neurons", [511, 5000])
def test_many_neurons_have_the_gradient_that_each_has_alone(neurons, surrogate):
    """The compiled loop goes in blocks, which several threads share."""
    neuron = set_gradient_(CubaNeuron(**{**PARAMS, "surrogate": surrogate}), "stbp")
    x, weights = torch.randn(2, 2, neurons, 5, generator=torch.Generator().manual_seed(0))
    got = gradient_of(neuron, x, weights)[1]
    for i in (0, 255, 256, 509, neurons - 1):
        alone = set_gradient_(CubaNeuron(**{**PARAMS, "surrogate": surrogate}), "stbp")
        part = [tensor[:, i : i + 1].clone() for tensor in (x, weights)]
        torch.testing.assert_close(got[:, i : i + 1], gradient_of(alone, *part)[1], rtol=1e-6, atol=1e-7)


class Own(Surrogate):
    """One that has no kernel."""

    def derivative(self, x):
        return 1 / (1 + x.abs())

    def smooth(self, x):
        raise NotImplementedError


@pytest.mark.parametrize("deployed", [False, True])
@pytest.mark.parametrize("surrogate", ["rectangular", Own()])
def test_a_batch_of_no_samples_has_a_gradient_of_none(surrogate, deployed):
    neuron = set_gradient_(CubaNeuron(**{**PARAMS, "surrogate": surrogate}), "stbp")
    if deployed:
        neuron.deploy(128)
    x = torch.zeros(0, 7, 6, requires_grad=True)
    neuron(x).sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("detached", [False, True])
def test_a_deployed_neuron_has_the_same_gradient_in_integers(x, weights, detached):
    neuron = set_gradient_(CubaNeuron(**PARAMS), "stbp-detached" if detached else "stbp")
    neuron.deploy(vth_mant=32)
    scale = 64.0
    spikes, got = gradient_of(neuron, x * scale, weights)
    threshold = 0.5 + 1e-6  # v > threshold
    expected_spikes, expected = gradient_of(
        lambda x: written_out(x, threshold, "detached" if detached else "full"), x, weights
    )
    assert torch.equal(spikes, expected_spikes)
    torch.testing.assert_close(got, expected / scale, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("largest", [60, 200_000, 30_000_000], ids=["small", "beyond 24 bits", "beyond 32 bits"])
def test_a_deployed_neurons_voltages_are_those_of_the_definition(largest, monkeypatch):
    """Also where the chip wraps and clips; the gradient, which is a function of them, is then the same, too."""
    neuron = CubaNeuron(threshold=0.5, current_decay=1.0, voltage_decay=0.77, norm=TDBN, gradient="stbp")
    neuron.norm.threshold = 0.5
    neuron.norm.set_features(5)
    neuron.norm.shift.data = torch.linspace(-0.6, 0.6, 5)
    neuron.deploy(vth_mant=max(32, largest // 4) % (1 << 17))
    z = torch.randint(-largest, largest, (3, 5, 4, 2, 9), generator=torch.Generator().manual_seed(0)).float()
    with torch.no_grad():
        assert torch.equal(_chip_voltage(neuron, z, _voltage_factor(neuron))[0], neuron.deployed_states(z)[1])
    spikes, got = gradient_of(neuron, z, torch.ones(z.shape))
    assert 0.05 < spikes.mean() < 0.95
    monkeypatch.setattr(neuron, "chip_is_fused", lambda z: False)
    expected_spikes, expected = gradient_of(neuron, z, torch.ones(z.shape))
    assert torch.equal(spikes, expected_spikes)
    assert torch.equal(got, expected)


@pytest.mark.parametrize("norm", [None, TDBN])
@pytest.mark.parametrize("deployed", [False, True])
def test_spikes_are_bit_for_bit_those_of_slayers_neuron(norm, deployed):
    torch.manual_seed(0)
    params = {**PARAMS, "voltage_decay": 0.77, "norm": norm}
    slayer, stbp = Dense(params, 20, 30), Dense(params, 20, 30)
    x = torch.rand(5, 20, 8)
    slayer(x)
    stbp.load_state_dict(slayer.state_dict())
    set_gradient_(stbp, "stbp")
    for layer in (slayer, stbp):
        layer.eval()
        if deployed:
            layer.neuron.deploy(32)
    current = torch.randint(-90, 160, (5, 30, 8)).float() if deployed else torch.randn(5, 30, 8)
    expected = slayer.neuron(current)
    assert torch.equal(stbp.neuron(current.requires_grad_()), expected)
    with torch.no_grad():
        assert torch.equal(stbp.neuron(current), expected)
    assert 0.05 < expected.mean() < 0.95


def test_the_norm_before_the_neuron_learns():
    layer = set_gradient_(Dense({**PARAMS, "norm": TDBN}, 4, 3), "stbp")
    layer(torch.rand(5, 4, 6)).sum().backward()
    for parameter in (layer.synapse.weight, layer.neuron.norm.scale, layer.neuron.norm.shift):
        assert parameter.grad.abs().sum() > 0


def test_without_voltage_memory_all_gradients_agree(x, weights):
    """Nothing is kept from step to step, so there is nothing to reset."""
    params = {**PARAMS, "voltage_decay": 1.0}
    grads = [
        gradient_of(set_gradient_(CubaNeuron(**params), name), x, weights)[1]
        for name in ("stbp", "stbp-detached", "slayer")
    ]
    for grad in grads[1:]:
        np.testing.assert_allclose(grad, grads[0], rtol=1e-6)


def test_what_has_no_such_gradient_is_refused():
    with pytest.raises(InputError, match="current_decay=1"):
        CubaNeuron(threshold=1.0, current_decay=0.5, voltage_decay=0.5, gradient="stbp")
    with pytest.raises(InputError, match=r"a threshold of 0 or more, got -1\.0"):
        CubaNeuron(threshold=-1.0, current_decay=1.0, voltage_decay=0.5, gradient="stbp")
    with pytest.raises(InputError, match="no graded spikes"):
        CubaNeuron(threshold=1.0, current_decay=1.0, voltage_decay=0.5, graded_spike=True, gradient=STBP())
    with pytest.raises(InputError, match="unknown gradient 'bptt'; there are: slayer, stbp"):
        set_gradient_(CubaNeuron(**PARAMS), "bptt")
    with pytest.raises(InputError, match=r"must be an object, got the class STBP; give STBP\(\)"):
        CubaNeuron(**PARAMS, gradient=STBP)
    with pytest.raises(InputError, match="no CubaNeuron whose gradient could be chosen"):
        set_gradient_(torch.nn.Linear(2, 2), "stbp")


@pytest.mark.parametrize("norm", [MeanOnlyBatchNorm, WgtScaleBatchNorm, TDBN])
def test_every_norm_takes_an_image(norm):
    params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25, "norm": norm}
    torch.manual_seed(0)
    model = torch.nn.Sequential(Conv(params, 2, 4, 3, padding=(0, 1), weight_scale=4))
    x = (torch.rand(3, 2, 5, 6, 7) < 0.5).float()
    expected = copy.deepcopy(model)(x)
    set_gradient_(model, "stbp")
    spikes = model(x)
    assert torch.equal(spikes, expected)
    assert spikes.any()
    spikes.sum().backward()
    assert torch.isfinite(model[0].synapse.weight.grad).all()
