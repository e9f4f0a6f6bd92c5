"""The compiled neuron against lava-dl's: spikes and states with ==, gradients to 1e-5."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.lib.dl.slayer.neuron import cuba as slayer
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm, WgtScaleBatchNorm

from pumice.errors import InputError, PumiceWarning
from pumice.nn import CubaNeuron

DECAYS = ("current_decay", "voltage_decay")
SHAPES = [(3, 1), (1, 5), (2, 4, 3, 5), (4, 150)]


def neurons(**options):
    """lava-dl's neuron and ours, with the same random parameters."""
    pair = []
    for kind in (slayer.Neuron, CubaNeuron):
        torch.manual_seed(1)
        pair.append(kind(**options))
    return pair


def respond(neuron, x, weights):
    """Spikes, states and gradients of one forward and backward pass."""
    torch.manual_seed(2)  # individual decays are drawn in the first pass
    x = x.clone().requires_grad_()
    spikes = neuron(x)
    neuron.zero_grad()
    if neuron.threshold <= 0:  # then the surrogate has no width; SLAYER's gradient is not a number
        return spikes, None, []
    (spikes * weights).sum().backward()
    return spikes, x.grad, [right(neuron, name, p.grad) for name, p in neuron.named_parameters() if p.requires_grad]


def right(neuron, name, grad):
    """Stock SLAYER's gradient of a decay is by what is left, not by what is lost."""
    return -grad if type(neuron) is slayer.Neuron and name.endswith("_decay") else grad


def close(ours, stock, tolerance=1e-5, largest_factor=1.0):
    flushed = 1e-25 * largest_factor  # what is smaller may be 0, and with it what it is a factor of
    return float((ours - stock).norm()) <= tolerance * float(stock.norm()) + flushed


decays = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


@settings(max_examples=40)
@given(
    shape=st.sampled_from(SHAPES),
    steps=st.integers(1, 40),
    peak=st.sampled_from([0.1, 1.0, 10.0, 3e4]),
    threshold=st.one_of(st.sampled_from([-1.0, 0.0, 80.0]), st.floats(0.02, 4)),
    current_decay=decays,
    voltage_decay=decays,
    scale=st.sampled_from([1, 32, 64, 100]),
    graded=st.booleans(),
    persistent=st.booleans(),
    learns=st.booleans(),
    norm=st.sampled_from([None, MeanOnlyBatchNorm, WgtScaleBatchNorm]),
    seed=st.integers(0, 2**16),
)
def test_spikes_states_and_gradients_are_slayers(  # noqa: PLR0917
    shape, steps, peak, threshold, current_decay, voltage_decay, scale, graded, persistent, learns, norm, seed
):
    stock, ours = neurons(
        threshold=threshold,
        current_decay=current_decay,
        voltage_decay=voltage_decay,
        scale=scale,
        norm=norm,
        graded_spike=graded,
        persistent_state=persistent,
        requires_grad=learns,
    )
    torch.manual_seed(seed)
    for _ in range(2):  # the second call starts from a persistent state
        x, weights = peak * torch.randn(*shape, steps), torch.randn(*shape, steps)
        theirs, mine = respond(stock, x, weights), respond(ours, x, weights)
        assert torch.equal(mine[0], theirs[0])
        if persistent:
            assert torch.equal(ours.current_state, stock.current_state)
            assert torch.equal(ours.voltage_state, stock.voltage_state)
        if mine[1] is not None:
            assert close(mine[1], theirs[1])
            for mine_p, theirs_p in zip(mine[2], theirs[2], strict=True):
                # SLAYER adds up in float32 what may cancel; a decay's gradient is a sum over all neurons and steps,
                # of products with their states.
                assert close(mine_p, theirs_p, 1e-3, largest_factor=steps * float(x.abs().sum()))
    for mine_state, their_state in zip(ours.dynamics(x), stock.dynamics(x), strict=True):
        assert torch.equal(mine_state, their_state)


@pytest.mark.parametrize("graded", [False, True])
def test_individual_decays_of_a_dense_layer(graded):
    options = {"current_decay": (0.1, 0.9), "voltage_decay": (0.0, 0.5), "shared_param": False}
    stock, ours = neurons(threshold=0.5, requires_grad=True, graded_spike=graded, **options)
    x, weights = torch.randn(3, 6, 30), torch.randn(3, 6, 30)
    theirs, mine = respond(stock, x, weights), respond(ours, x, weights)
    assert torch.equal(ours.current_decay, stock.current_decay)
    assert len(ours.voltage_decay.unique()) == 6
    assert torch.equal(mine[0], theirs[0])
    assert mine[0].sum() > 0
    for mine_p, theirs_p in zip(mine[2], theirs[2], strict=True):
        torch.testing.assert_close(mine_p, theirs_p, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scale", [64, 100], ids=["32 bits", "64 bits"])
@pytest.mark.parametrize("learns", [False, True])
def test_individual_decays_of_more_neurons_than_a_block(scale, learns):
    """700 neurons in blocks of 512, which 7 channels do not divide."""
    options = {"current_decay": (0.1, 0.9), "voltage_decay": (0.0, 0.5), "shared_param": False, "scale": scale}
    stock, ours = neurons(threshold=0.5, requires_grad=learns, **options)
    x, weights = torch.randn(100, 7, 12), torch.randn(100, 7, 12)
    theirs, mine = respond(stock, x, weights), respond(ours, x, weights)
    assert torch.equal(mine[0], theirs[0])
    assert close(mine[1], theirs[1])


def test_individual_decays_of_a_convolution_are_its_channels():
    """lava-dl's loops on the CPU take them for those of the image's columns, or stop."""
    options = {"current_decay": (0.1, 0.9), "voltage_decay": (0.0, 0.5), "shared_param": False, "threshold": 0.5}
    image = CubaNeuron(**options)
    x = torch.randn(2, 3, 4, 5, 20)
    spikes = image(x)
    for channel in range(3):
        one = CubaNeuron(threshold=0.5, current_decay=0.5, voltage_decay=0.5)
        one.current_decay.data, one.voltage_decay.data = (
            image.current_decay[channel : channel + 1],
            image.voltage_decay[channel : channel + 1],
        )
        assert torch.equal(spikes[:, channel], one(x[:, channel]))


def test_gradients_of_current_and_voltage_themselves():
    stock, ours = neurons(threshold=0.5, current_decay=0.3, voltage_decay=0.1, requires_grad=True)
    x, weights = torch.randn(2, 3, 20), torch.randn(2, 2, 3, 20)
    grads = []
    for neuron in (stock, ours):
        x_ = x.clone().requires_grad_()
        sum((y * w).sum() for y, w in zip(neuron.dynamics(x_), weights, strict=True)).backward()
        grads.append([x_.grad, *(right(neuron, name, getattr(neuron, name).grad) for name in DECAYS)])
    for theirs, mine in zip(*grads, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_the_result_does_not_depend_on_the_number_of_threads():
    x, seen = torch.randn(8, 3000, 12), []
    threads = torch.get_num_threads()
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            neuron = CubaNeuron(threshold=0.5, current_decay=0.3, voltage_decay=0.1, requires_grad=True)
            seen.append(respond(neuron, x, torch.ones_like(x)))
    finally:
        torch.set_num_threads(threads)
    for other in seen[1:]:
        assert torch.equal(other[0], seen[0][0])
        assert torch.equal(other[1], seen[0][1])
        assert all(torch.equal(a, b) for a, b in zip(other[2], seen[0][2], strict=True))


def test_an_underflowing_gradient_becomes_zero_not_denormal():
    """Denormal numbers made a convolution's gradient seven times slower."""
    neuron = CubaNeuron(threshold=0.1, current_decay=0.5, voltage_decay=0.5, tau_grad=0.03)
    x = torch.linspace(-40, 0, 400).view(1, 1, 400).requires_grad_()
    neuron(x).sum().backward()
    found = x.grad.abs()
    assert ((found == 0) | (found >= 2.0**-101)).all()
    assert (found == 0).any()
    assert (found > 0).any()


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda neuron: None, "float64"),
        (lambda neuron: setattr(neuron, "debug", True), "debug"),
    ],
)
def test_what_is_not_covered_runs_in_slayers_loops_and_says_why(prepare, reason):
    stock, ours = neurons(threshold=0.5, current_decay=0.3, voltage_decay=0.1)
    prepare(ours)
    x = torch.randn(2, 3, 10, dtype=torch.float64 if reason == "float64" else torch.float32)
    with pytest.warns(PumiceWarning, match=reason) as caught:
        spikes = ours(x)
    assert len(caught) == 1
    assert torch.equal(spikes, stock(x))


def test_what_is_covered_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CubaNeuron(threshold=0.5, current_decay=0.3, voltage_decay=0.1)(torch.randn(2, 3, 10))


def test_wrong_shapes_are_refused():
    neuron = CubaNeuron(threshold=0.5, current_decay=0.3, voltage_decay=0.1)
    with pytest.raises(InputError, match="batch"):
        neuron(torch.zeros(3, 4))
    neuron(torch.zeros(1, 3, 4))
    with pytest.raises(InputError, match="neurons"):
        neuron(torch.zeros(1, 4, 4))


def test_a_threshold_of_zero_has_no_gradient_and_says_so():
    neuron = CubaNeuron(threshold=0.001, current_decay=0.3, voltage_decay=0.1)
    spikes = neuron(torch.ones(1, 1, 5, requires_grad=True))
    with pytest.raises(InputError, match="width"):
        spikes.sum().backward()


@pytest.mark.parametrize("scale", [64, 100])
def test_quantised_weights_and_their_gradient_are_slayers(scale):
    """Also at the bounds, where versions of torch disagree about the gradient of a clamp."""
    bounds = torch.tensor([-256.0, -257.0, -255.0, 254.0, 255.0, 253.0]) / scale
    weights = torch.cat([torch.linspace(-6, 6, 10_001), bounds])
    seen = []
    for neuron in neurons(threshold=1.0, current_decay=0.3, voltage_decay=0.1, scale=scale):
        w = weights.clone().requires_grad_()
        quantised = neuron.quantize_8bit(w)
        quantised.backward(torch.linspace(1, 2, len(w)))
        seen.append((quantised, neuron.quantize_8bit(w, descale=True), w.grad))
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*seen, strict=True))


def test_the_users_input_is_not_changed():
    x = torch.randn(2, 3, 20)
    before = x.clone()
    CubaNeuron(threshold=0.5, current_decay=0.3, voltage_decay=0.1)(x)
    assert torch.equal(x, before)
