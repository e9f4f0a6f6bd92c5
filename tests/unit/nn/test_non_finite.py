"""What is not a number comes out as none: no layer hides it in integers, in training or deployed."""

import math
from functools import partial

import pytest
import torch
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm

from pumice.errors import PumiceError, PumiceWarning
from pumice.nn import (
    TDBN,
    Conv,
    CubaNeuron,
    Delay,
    Dense,
    DenseSynapse,
    IdentitySynapse,
    Merge,
    Pool,
    Recurrent,
    SRMNeuron,
    set_gradient_,
)
from pumice.nn.rounding import round_even, round_integer
from pumice.quantization import quantize_

LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75}
CUBA = {**LIF, "current_decay": 0.5}
NORMED = {**LIF, "norm": TDBN}
NOT_FINITE = [math.nan, math.inf, -math.inf]
LAVA_DLS_WEIGHT_NORM = pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
BAD = pytest.mark.parametrize("bad", NOT_FINITE)


class Merged(torch.nn.Module):
    def __init__(self):
        super().__init__()
        norm = partial(TDBN, alpha=0.7)
        self.merge = Merge(LIF, DenseSynapse(6, 6, norm=norm), IdentitySynapse(6, norm=norm))

    def forward(self, x):
        return self.merge(x, x)


IMAGE = (4, 2, 4, 4, 5)
NETS = {
    "dense": (lambda: Dense(CUBA, 6, 4), "synapse.weight"),
    "weight norm": (lambda: Dense(CUBA, 6, 4, weight_norm=True), "synapse.weight_g"),
    "individual decays": (
        lambda: Dense(
            {**CUBA, "shared_param": False, "current_decay": (0.1, 0.9), "voltage_decay": (0.1, 0.9)}, 6, 4
        ),
        "synapse.weight",
    ),
    "many outputs": (lambda: Dense(CUBA, 6, 40), "synapse.weight"),
    "delay": (lambda: Dense(CUBA, 6, 4, delay=True), "delay.delay"),
    "scale": (lambda: Dense(NORMED, 6, 4), "neuron.norm.scale"),
    "shift": (lambda: Dense(NORMED, 6, 4), "neuron.norm.shift"),
    "normed": (lambda: Dense(NORMED, 6, 4), "synapse.weight"),
    "recurrent": (lambda: Recurrent(CUBA, 6, 4), "recurrent_synapse.weight"),
    "into recurrent": (lambda: Recurrent(CUBA, 6, 4), "input_synapse.weight"),
    "merge": (Merged, "merge.synapses.0.weight"),
    "synapse's norm": (Merged, "merge.synapses.1.norm.scale"),
    "conv": (lambda: Conv(CUBA, 2, 3, 3), "synapse.weight"),
    "pool": (lambda: Pool(CUBA, 2), "synapse.weight"),
    "stbp": (lambda: set_gradient_(Dense(LIF, 6, 4), "stbp"), "synapse.weight"),
}


def net_and_input(name):
    torch.manual_seed(1)
    net, key = NETS[name][0](), NETS[name][1]
    shape = IMAGE if name in {"conv", "pool"} else (4, 6, 5)
    return net, key, (torch.rand(shape) < 0.5).float()


def spoil(net, key, bad):
    tensor = net.get_parameter(key)
    with torch.no_grad():
        tensor.view(-1)[0] = bad


@LAVA_DLS_WEIGHT_NORM
@BAD
@pytest.mark.parametrize("name", NETS)
def test_a_parameter_that_is_not_finite_makes_the_loss_nan(name, bad):
    net, key, x = net_and_input(name)
    assert net(x).isfinite().all()
    spoil(net, key, bad)
    spikes = net(x)
    assert spikes.sum().isnan()
    with torch.no_grad():
        assert net(x).sum().isnan()


@LAVA_DLS_WEIGHT_NORM
@BAD
@pytest.mark.parametrize("name", [name for name in NETS if name not in {"individual decays"}])
def test_deployed_it_makes_the_loss_nan_or_is_refused(name, bad):
    net, key, x = net_and_input(name)
    net(x)
    quantize_(net.eval(), x)
    spoil(net, key, bad)
    try:
        spikes = net(x)
    except PumiceError:
        return
    assert spikes.sum().isnan()


@BAD
@pytest.mark.parametrize("norm", [TDBN, MeanOnlyBatchNorm])
@pytest.mark.parametrize("key", ["running_mean", "running_var"])
def test_statistics_that_are_not_finite_make_the_loss_nan(key, norm, bad):
    net, x = Dense({**LIF, "norm": norm}, 6, 4), torch.ones(2, 6, 5)
    net(x)
    if not hasattr(net.neuron.norm, key):
        return
    getattr(net.neuron.norm, key)[0] = bad
    assert net.eval()(x).sum().isnan()


@BAD
@pytest.mark.parametrize("scale", [64, 100], ids=["32 bits", "64 bits"])
@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("persistent", [False, True])
def test_a_neuron_is_nan_from_a_bad_current_on_and_no_other_is(bad, scale, graded, persistent):
    x = torch.rand(2, 600, 9)
    options = {"scale": scale, "graded_spike": graded, "persistent_state": persistent}
    neuron, healthy = (CubaNeuron(**CUBA, **options) for _ in range(2))
    expected = healthy(x)
    spoilt = x.clone()
    spoilt[1, 3, 4] = bad
    spikes = neuron(spoilt)
    nan = spikes.isnan()
    assert nan[1, 3, 4:].all()
    assert nan.sum() == 5
    assert torch.equal(spikes[~nan], expected[~nan])
    current, voltage = CubaNeuron(**CUBA, **options).dynamics(spoilt)
    assert torch.equal(voltage.isnan(), nan)
    assert torch.equal(current.isnan(), nan)
    if persistent:
        assert neuron(x)[1, 3].isnan().all()
        assert neuron.voltage_state.isnan().sum() == 1


@BAD
def test_a_deployed_neuron_is_nan_from_a_bad_current_on_in_loops_and_in_torch(bad):
    x = torch.randint(-20, 60, (2, 5, 9)).float()
    net = quantize_(Dense(CUBA, 5, 5), torch.ones(1, 5, 3))
    expected = net.neuron(x)
    x[1, 3, 4] = bad
    for spikes in (net.neuron(x), net.neuron(x.double())):
        nan = spikes.isnan()
        assert nan[1, 3, 4:].all()
        assert nan.sum() == 5
        assert torch.equal(spikes[~nan].float(), expected[~nan])


@BAD
def test_slayers_own_loops_are_nan_from_a_bad_current_on(bad):
    x = torch.rand(2, 5, 9, dtype=torch.float64)
    x[1, 3, 4] = bad
    with pytest.warns(PumiceWarning, match="SLAYER's own loops"):
        nan = CubaNeuron(**CUBA)(x).isnan()
    assert nan[1, 3, 4:].all()
    assert nan.sum() == 5


def test_a_current_too_large_for_64_bits_is_no_number():
    """SLAYER's integers overflow."""
    x = torch.full((1, 1, 3), 1e16)
    assert CubaNeuron(**CUBA)(x).isnan().all()


@BAD
def test_a_norm_of_a_batch_that_is_not_finite_is_nan(bad):
    x = torch.randn(3, 2, 5)
    x[0, 0, 0] = bad
    assert TDBN(threshold=1.0)(x)[:, 0].isnan().all()
    x[0, 0, 0] = 1e30  # its square overflows
    assert TDBN(threshold=1.0)(x)[:, 0].isnan().all()


@BAD
def test_gradients_that_are_not_finite_reach_the_input(bad):
    x = torch.rand(2, 3, 6, requires_grad=True)
    weights = torch.ones(2, 3, 6)
    weights[0, 0, 3] = bad
    (CubaNeuron(**CUBA)(x) * weights).sum().backward()
    assert not x.grad[0, 0, :4].isfinite().any()
    assert x.grad[1].isfinite().all()


@BAD
def test_a_channel_whose_delay_is_not_finite_is_nan(bad):
    delay = Delay(2)
    with torch.no_grad():
        delay.delay[0] = bad
    for _ in range(2):
        y = delay(torch.ones(1, 2, 4))
        assert y[:, 0].isnan().all()
        assert y[:, 1].isfinite().all()
    assert delay.delay[0].isnan()


@BAD
def test_quantisers_keep_what_is_not_finite(bad):
    x = torch.tensor([bad, 300.0, 1.2])
    assert round_even(x, -256, 254).isnan().tolist() == [True, False, False]
    assert round_integer(x, -256, 254).isnan().tolist() == [True, False, False]
    for weight in (x, x.double()):
        assert CubaNeuron(**CUBA).quantize_8bit(weight).isnan().tolist() == [True, False, False]


@BAD
def test_a_weight_that_no_spike_reads_shows_too(bad):
    net, x = Dense(CUBA, 100, 40), torch.zeros(2, 100, 30)
    x[:, 0, 0] = 1  # few enough for a product over events
    with torch.no_grad():
        net.synapse.weight[0, 7] = bad
    assert net(x)[:, 0].isnan().all()


@BAD
def test_spike_response_neurons_keep_it(bad):
    x = torch.rand(1, 2, 6)
    x[0, 0, 2] = bad
    assert SRMNeuron(threshold=1.0)(x)[0, 0].isnan().any()
