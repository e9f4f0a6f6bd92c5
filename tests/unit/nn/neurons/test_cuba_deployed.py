"""The compiled loops of the deployed neuron against its definition in torch: states and spikes with ==."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pumice.errors import InputError
from pumice.nn import TDBN, CubaNeuron
from pumice.nn.kernels import cpu

SHAPES = [(3, 1), (1, 5), (2, 4, 3, 5), (2, 700)]


def pair(*, channels, bias, **options):
    """One deployed neuron twice: with compiled loops, and step by step."""
    norm = TDBN(channels, threshold=1.0) if bias else None
    fused = CubaNeuron(threshold=1.0, **options)
    fused.norm = norm
    if norm is not None:
        norm.shift.data = torch.randn(channels)
    fused.deploy(100)
    plain = copy.deepcopy(fused)
    plain.chip_is_fused = lambda _z: False
    return fused, plain


def respond(neuron, z, weights):
    """Spikes, and gradients of input and bias, of one forward and backward pass."""
    z = z.clone().requires_grad_()
    neuron.zero_grad()
    spikes = neuron(z)
    (spikes * weights).sum().backward()
    return spikes, z.grad, None if neuron.norm is None else neuron.norm.shift.grad


def close(ours, theirs):
    return float((ours - theirs).norm()) <= 1e-5 * float(theirs.norm()) + 1e-30


decays = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


@settings(max_examples=60)
@given(
    shape=st.sampled_from(SHAPES),
    steps=st.integers(1, 30),
    peak=st.sampled_from([1.0, 60.0, 2.0**17, 2.0**18, 2.0**24 - 1, 2.0**28]),
    whole=st.booleans(),
    current_decay=decays,
    voltage_decay=decays,
    bias=st.booleans(),
    persistent=st.booleans(),
    surrogate=st.sampled_from([None, "triangle", "arctan"]),
    seed=st.integers(0, 2**16),
)
def test_spikes_states_and_gradients_are_those_of_the_definition(  # noqa: PLR0917
    shape, steps, peak, whole, current_decay, voltage_decay, bias, persistent, surrogate, seed
):
    """Also where the current wraps more than once, the voltage clips, and input is no whole number."""
    torch.manual_seed(seed)
    fused, plain = pair(
        channels=shape[1],
        bias=bias,
        current_decay=current_decay,
        voltage_decay=voltage_decay,
        persistent_state=persistent,
        surrogate=surrogate,
    )
    for _ in range(2):  # the second call starts from a persistent state
        z, weights = peak * torch.randn(*shape, steps), torch.randn(*shape, steps)
        z = z.round() if whole else z
        ours, theirs = respond(fused, z, weights), respond(plain, z, weights)
        assert torch.equal(ours[0], theirs[0])
        assert close(ours[1], theirs[1])
        if bias:  # a sum over neurons and steps, which may cancel; 100 integers per unit
            assert float((ours[2] - theirs[2]).abs().max()) <= 1e-5 * float(theirs[1].abs().sum()) * 100
        for name in ("current_state", "voltage_state"):
            assert getattr(fused, name).dtype == getattr(plain, name).dtype
            assert torch.equal(getattr(fused, name), getattr(plain, name))


@pytest.mark.parametrize("current_decay", [0.0, 1.0])
def test_states_at_the_very_edges_of_24_and_32_bits(current_decay):
    """The voltage tells where the current wrapped: what random sums hardly ever hit."""
    fused, plain = pair(channels=1, bias=False, current_decay=current_decay, voltage_decay=1.0, persistent_state=True)
    edges = [sign * edge + near for sign in (-1, 1) for edge in (100, 2**17, 2**18, 2**25) for near in (-1, 0, 1)]
    for first in edges:
        for second in (0, first, -first, 1):
            z = torch.tensor([[[float(first), float(second)]]])
            assert torch.equal(fused(z), plain(z))
            for name in ("current_state", "voltage_state"):
                assert torch.equal(getattr(fused, name), getattr(plain, name))
                getattr(fused, name).zero_()
                getattr(plain, name).zero_()


def test_individual_decays_belong_to_channels():
    options = {"current_decay": (0.1, 0.9), "voltage_decay": (0.0, 0.5), "shared_param": False}
    neuron = CubaNeuron(threshold=1.0, **options)
    neuron(torch.zeros(2, 3, 4, 5, 1))  # draws them
    neuron.deploy(100)
    plain = copy.deepcopy(neuron)
    plain.chip_is_fused = lambda _z: False
    z, weights = (100 * torch.randn(2, 3, 4, 5, 20)).round(), torch.randn(2, 3, 4, 5, 20)
    ours, theirs = respond(neuron, z, weights), respond(plain, z, weights)
    assert torch.equal(ours[0], theirs[0])
    assert 0 < ours[0].mean() < 1
    assert close(ours[1], theirs[1])


def test_the_compiled_loops_run_where_they_should(monkeypatch):
    """Whatever else is compared here would hold, too, if nothing were compiled at all."""
    fused, plain = pair(channels=2, bias=False, current_decay=0.5, voltage_decay=0.5)
    calls, loops = [], cpu.deployed_forward
    monkeypatch.setattr(cpu, "deployed_forward", lambda *args: (calls.append(1), loops(*args)))
    z = torch.full((1, 2, 3), 50.0)
    fused(z)
    assert len(calls) == 1
    plain(z)
    fused(z.double())
    assert len(calls) == 1


def test_the_result_does_not_depend_on_the_number_of_threads():
    z, seen, threads = (60 * torch.randn(8, 3000, 6)).round(), [], torch.get_num_threads()
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            fused, _ = pair(channels=3000, bias=False, current_decay=0.5, voltage_decay=0.5)
            seen.append(respond(fused, z, torch.ones_like(z)))
    finally:
        torch.set_num_threads(threads)
    assert seen[0][0].any()
    assert torch.equal(seen[0][0], seen[1][0])
    assert torch.equal(seen[0][1], seen[1][1])


def test_a_bias_for_another_number_of_channels_is_refused():
    fused, _ = pair(channels=3, bias=True, current_decay=1.0, voltage_decay=0.5)
    with pytest.raises(InputError, match="3 channels"):
        fused(torch.zeros(1, 4, 5))
