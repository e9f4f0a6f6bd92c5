import math
from dataclasses import replace

import pytest
import torch

from pumice.errors import InputError
from pumice.nn import Conv, CubaNeuron, Dense, Merge, Pool, Recurrent
from pumice.nn.kernels import operators
from pumice.nn.surrogate import (
    PAPER,
    SURROGATES,
    TUTORIAL,
    Arctan,
    Dspike,
    Exponential,
    FastSigmoid,
    GradedExponential,
    Rectangular,
    Triangle,
    find_surrogate,
)
from pumice.nn.synapses.dense import DenseSynapse
from pumice.quantization import quantize_

ALL = [
    Exponential(0.7, 1.3),
    GradedExponential(0.7, 1.3),
    Rectangular(0.8),
    Triangle(0.6),
    Dspike(2.5),
    FastSigmoid(3.0),
    Arctan(1.5),
]
LIF = {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.25}


@pytest.mark.parametrize("surrogate", ALL, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("value", [math.nan, math.inf, "1"])
def test_numbers_of_which_no_derivative_comes_are_refused(surrogate, value):
    for name in vars(surrogate):
        with pytest.raises(InputError, match=f"{type(surrogate).__name__}: {name} must be a number"):
            replace(surrogate, **{name: value})


@pytest.mark.parametrize("kind", [Rectangular, Triangle, Dspike, FastSigmoid, Arctan])
@pytest.mark.parametrize("value", [0, -1.0])
def test_widths_and_slopes_are_above_0(kind, value):
    with pytest.raises(InputError, match=rf"> 0, and finite, got {value}"):
        kind(value)


def grid():
    """Places beside the kinks, which are at round numbers."""
    return torch.arange(-2.03, 2.0, 0.0537, dtype=torch.float64)


@pytest.mark.parametrize("surrogate", ALL, ids=lambda s: type(s).__name__)
def test_it_is_the_derivative_of_its_smooth_step(surrogate):
    x = grid().requires_grad_()
    surrogate.smooth(x).sum().backward()
    torch.testing.assert_close(surrogate.derivative(x.detach()), x.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("surrogate", ALL, ids=lambda s: type(s).__name__)
def test_it_is_the_limit_of_finite_differences(surrogate):
    x, h = grid(), 1e-5
    slope = (surrogate.smooth(x + h) - surrogate.smooth(x - h)) / (2 * h)
    torch.testing.assert_close(surrogate.derivative(x), slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("surrogate", [s for s in ALL if not isinstance(s, GradedExponential)], ids=repr)
def test_the_smooth_step_is_centred_at_the_threshold_and_its_height_is_the_area(surrogate):
    x = torch.linspace(-400, 400, 1_600_001, dtype=torch.float64)
    height = getattr(surrogate, "scale", 1.0)
    assert float(surrogate.smooth(torch.zeros(1, dtype=torch.float64))) == pytest.approx(height / 2)
    assert float(torch.trapezoid(surrogate.derivative(x), x)) == pytest.approx(height, rel=2e-3)


@pytest.mark.parametrize("surrogate", ALL, ids=lambda s: type(s).__name__)
def test_its_argument_is_left_alone(surrogate):
    x = grid()
    surrogate.derivative(x)
    surrogate.smooth(x)
    assert torch.equal(x, grid())


@pytest.mark.parametrize(
    ("surrogate", "at_0", "at_half"),
    [
        (Exponential(1.0, 2.0), 1.0, 0.606531),
        (Exponential(3.0, 0.3), 0.05, 0.042324),
        (Rectangular(1.0), 1.0, 0.0),
        (Dspike(2.5), 1.266959, 0.355274),
    ],
    ids=["slayer", "lava-dl", "rectangular", "dspike"],
)
def test_values_of_the_papers(surrogate, at_0, at_half):
    """Oracle 1d, at threshold 1."""
    got = surrogate.derivative(torch.tensor([0.0, 0.5], dtype=torch.float64)).tolist()
    assert got == pytest.approx([at_0, at_half], abs=5e-7)


def test_dspike_is_zero_beyond_one():
    """Oracle 4c; its values are among those above, as its area is."""
    assert Dspike(2.5).derivative(torch.tensor([1.5, -1.5])).tolist() == [0, 0]


@pytest.mark.parametrize(("preset", "at_0", "at_half"), [(PAPER, 1.0, 0.606531), (TUTORIAL, 0.05, 0.042324)])
def test_presets_of_slayers_neuron(preset, at_0, at_half):
    """Through the neuron itself: tau_grad and scale_grad have multipliers of their own."""
    surrogate = CubaNeuron(**LIF, **preset).surrogate
    got = surrogate.derivative(torch.tensor([0.0, -0.5], dtype=torch.float64)).tolist()
    assert got == pytest.approx([at_0, at_half], abs=5e-7)


@pytest.mark.parametrize("name", sorted(SURROGATES))
def test_the_neurons_gradient_is_the_chosen_surrogate(name):
    """One step without memory: the gradient of the input is f'(v - threshold)."""
    neuron = CubaNeuron(**LIF, surrogate=name)
    x = torch.linspace(-1, 3, 41).view(1, 41, 1).requires_grad_()
    neuron(x).sum().backward()
    voltage = torch.trunc(x.detach() * 4096) / 4096
    expected = SURROGATES[name]().derivative(voltage - 1.0 - 0.01 / 4096)
    torch.testing.assert_close(x.grad, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("surrogate", ["triangle", Triangle(1.0)])
def test_every_block_takes_one_and_keeps_it_when_deployed(surrogate):
    params = {**LIF, "surrogate": surrogate}
    blocks = [
        Dense(params, 4, 3),
        Conv(params, 1, 2, 3),
        Pool(params, 2),
        Recurrent(params, 4, 3),
        Merge(params, DenseSynapse(4, 3)),
    ]
    assert all(block.neuron.surrogate == Triangle(1.0) for block in blocks)
    assert params["surrogate"] is surrogate
    layer, x = blocks[0], torch.ones(1, 4, 6)
    quantize_(layer, x)
    layer(x).sum().backward()
    integer_voltage_is_far = layer.synapse.weight.grad
    assert layer.neuron.surrogate == Triangle(1.0)
    assert torch.isfinite(integer_voltage_is_far).all()


def test_the_deployed_gradient_is_in_slayers_units():
    neuron = CubaNeuron(threshold=1.0, current_decay=1.0, voltage_decay=1.0, surrogate=Triangle(2.0))
    neuron.deploy(50)
    z = torch.tensor([[[25.0], [50.0], [200.0]]], requires_grad=True)
    neuron(z).sum().backward()
    # 25 of 50 integers are half a unit away from the threshold, where the triangle is 3/8 per unit of 50 integers.
    torch.testing.assert_close(z.grad, torch.tensor([[[0.375 / 50], [0.5 / 50], [0.0]]]))


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="arctan, dspike, exponential"):
        find_surrogate("sigmoid")
    with pytest.raises(InputError, match=r"must be an object, got the class Triangle; give Triangle\(\)"):
        find_surrogate(Triangle)
    with pytest.raises(InputError, match=r"surrogate must be a name or a Surrogate, got \['triangle'\]"):
        find_surrogate(["triangle"])


def test_the_exponential_of_the_compiled_loop_is_accurate():
    """Its own series instead of the library's function."""
    v = torch.linspace(-300, 300, 100_001)
    neuron = CubaNeuron(threshold=1.0, current_decay=1.0, voltage_decay=1.0, tau_grad=0.05, scale_grad=7)
    x = v.view(1, -1, 1).requires_grad_()
    neuron(x).sum().backward()
    voltage = (torch.trunc(x.detach() * 4096) / 4096).double()
    exact = 0.7 / 2 / 5 * torch.exp(-(voltage - 1 - 0.01 / 4096).abs() / 5)
    seen = exact > 2.0**-90
    assert seen.sum() > 90_000
    relative = ((x.grad.double() - exact) / exact)[seen].abs().max()
    assert float(relative) < 1e-5
    assert math.isclose(float(x.grad.max()), 0.07, rel_tol=1e-3)


def test_a_rectangle_of_doubles_has_a_doubles_height():
    assert Rectangular(1.5).derivative(torch.zeros(1, dtype=torch.float64)).tolist() == [1 / 1.5]


@pytest.mark.parametrize("surrogate", ALL, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("scale", [1.0, 48.0, 64.0])
def test_the_compiled_loop_is_the_derivative(surrogate, scale):
    """Bit for bit, but for exponentials, which torch computes in another way."""
    v, grad = scale * torch.linspace(-3, 4, 5001), torch.randn(5001)
    wanted, found = surrogate.derivative((v - scale / 2) / scale) / scale * grad, torch.full_like(v, torch.nan)
    operators.surrogate_backward(grad, v, scale / 2, scale, *surrogate.compiled(), found)
    if "exponential" in surrogate.compiled()[0] or isinstance(surrogate, Dspike):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-7)
    else:
        assert torch.equal(found, wanted)
    assert wanted.abs().sum() > 0


def test_loops_that_there_are_not_are_refused_by_name():
    class Mine(Triangle):
        def kernel(self):
            return "mine", 1.0, 1.0

    with pytest.raises(InputError, match=r"Mine\.kernel: .*rectangular, .* not for 'mine'; return None"):
        CubaNeuron(1.0, 0.5, 0.1, surrogate=Mine(1.0))(torch.ones(1, 2, 3).requires_grad_()).sum().backward()
