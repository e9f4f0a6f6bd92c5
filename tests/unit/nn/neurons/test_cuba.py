import numpy as np
import pytest
import torch
from lava.lib.dl.slayer.block import cuba as slayer
from lava.lib.dl.slayer.neuron import cuba as slayer_neuron
from numpy.testing import assert_array_equal

from pumice.fixedpoint import CubaState, cuba_step
from pumice.nn import CubaNeuron, Dense
from pumice.quantization import quantize_


def deployed_neuron(vth_mant, **options):
    neuron = CubaNeuron(threshold=1.0, **{"current_decay": 0.3, "voltage_decay": 0.1, **options})
    neuron.deploy(vth_mant)
    return neuron


@pytest.mark.parametrize("peak", [20, 2**17, 2**18, 2**24 - 1])
@pytest.mark.parametrize("decays", [(0.3, 0.1), (0.0, 0.0), (1.0, 1.0)])
def test_deployed_spikes_are_those_of_the_fixed_point_step(peak, decays):
    """Also where the current wraps more than once and the voltage clips."""
    rng = np.random.default_rng(0)
    z = rng.integers(-peak, peak + 1, (2, 5, 40))
    neuron = deployed_neuron(64, current_decay=decays[0], voltage_decay=decays[1])
    got = neuron(torch.from_numpy(z).float()).numpy()
    state = CubaState(np.zeros((2, 5), np.int32), np.zeros((2, 5), np.int32))
    for t in range(z.shape[-1]):
        spikes, state = cuba_step(
            state,
            z[..., t],
            i_decay_q12=neuron.cx_current_decay,
            v_decay_q12=neuron.cx_voltage_decay,
            vth_mant=64,
        )
        assert_array_equal(got[..., t], spikes)


def test_tdbn_neuron_of_the_paper():
    """Oracle 3c: SLAYER's grid of 1/4096 fires as real numbers do; what goes to the chip."""
    neuron = CubaNeuron(threshold=0.5, current_decay=1.0, voltage_decay=0.75)
    x = torch.tensor([[[0.4, 0.4, 0.4, 0.9, 0.1, 0.6]]])
    assert neuron(x).flatten().tolist() == [0, 0, 1, 1, 0, 1]
    voltage = neuron.dynamics(x)[1].flatten()
    assert (voltage * 4096).frac().abs().sum() == 0
    assert voltage.tolist() == pytest.approx([0.4, 0.5, 0.525, 0.9, 0.1, 0.625], abs=4 / 4096)
    assert voltage[:3].tolist() == pytest.approx([0.3999, 0.4998, 0.5247], abs=6e-5)
    exported = neuron.device_params
    assert [exported[name] for name in ("vThMant", "vDecay", "iDecay")] == [32, 3072, 4096]


def test_it_does_not_fire_where_the_voltage_is_the_threshold():
    """Oracle 3c's neuron with an input that the grid holds: .25 * .375 + .40625 = .5, then 1/4096 above it."""
    neuron = CubaNeuron(threshold=0.5, current_decay=1.0, voltage_decay=0.75)
    x = torch.tensor([[[0.375, 0.40625, 0.375 + 1 / 4096]]])
    assert neuron.dynamics(x)[1].flatten().tolist() == [0.375, 0.5, 0.5 + 1 / 4096]
    assert neuron(x).flatten().tolist() == [0, 0, 1]
    neuron.deploy(32)
    assert neuron(64 * x).flatten().tolist() == [0, 0, 1]


def test_before_deployment_it_is_slayers_neuron():
    x = torch.randn(3, 4, 30)
    ours = CubaNeuron(threshold=0.5, current_decay=0.3, voltage_decay=0.1)
    stock = slayer_neuron.Neuron(threshold=0.5, current_decay=0.3, voltage_decay=0.1)
    assert torch.equal(ours(x), stock(x))


def test_the_deployed_gradient_is_slayers(params):
    """Without a norm the integers are those of training, so spikes and gradient must be equal too."""
    params["threshold"], x = 1.0, (torch.rand(2, 6, 25) > 0.5).float()
    stock = slayer.Dense(params, 6, 4, weight_scale=4, delay_shift=False)
    ours = Dense(params, 6, 4, weight_scale=4)
    ours.load_state_dict(stock.state_dict())
    quantize_(ours, x)
    for layer in (stock, ours):
        (layer(x) * torch.linspace(-1, 1, 25)).sum().backward()
    assert torch.equal(stock(x), ours(x))
    assert stock(x).sum() > 0
    torch.testing.assert_close(ours.synapse.weight.grad, stock.synapse.weight.grad, rtol=1e-5, atol=1e-7)


def test_a_voltage_exactly_at_a_large_threshold_does_not_fire():
    """LAVA.md 1.9 case 6: above 64 units SLAYER's float comparison fires there."""
    neuron = CubaNeuron(threshold=80.0, current_decay=1.0, voltage_decay=0.0)
    neuron.deploy(neuron.v_th_mant)
    z = torch.tensor([[[80.0 * 64, 1.0]]])
    assert neuron(z).tolist() == [[[0.0, 1.0]]]


def test_adopting_keeps_the_parameters():
    stock = slayer_neuron.Neuron(threshold=0.5, current_decay=0.3, voltage_decay=0.1)
    parameter = stock.current_decay
    made = CubaNeuron.of(stock)
    assert type(made) is CubaNeuron
    assert type(stock) is slayer_neuron.Neuron
    assert made.current_decay is parameter
    assert CubaNeuron.of(made, "triangle") is made
    made.deploy(32)
    assert "deployed_vth_mant" not in stock.state_dict()


@pytest.mark.parametrize("name", ["current_decay", "voltage_decay"])
def test_the_gradient_of_decays_that_learn_is_their_derivative(name):
    """By the decay from 0 to 1; lava-dl's has the other sign."""

    def last_voltage(change):
        decays = {"current_decay": 0.5, "voltage_decay": 0.25, name: 0.5 + change}
        neuron = CubaNeuron(threshold=100.0, requires_grad=True, **decays)
        return neuron.dynamics(torch.full((1, 1, 20), 0.3))[1][..., -1].sum(), neuron

    voltage, neuron = last_voltage(0.0)
    voltage.backward()
    difference = (last_voltage(1 / 64)[0] - last_voltage(-1 / 64)[0]).item() * 32
    assert getattr(neuron, name).grad.item() == pytest.approx(difference, rel=0.02)
