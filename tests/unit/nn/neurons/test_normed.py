"""A neuron with tdBN as one function, against its parts one after the other: equal to the bit."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pumice import nn
from pumice.errors import InputError
from pumice.nn.kernels import normed as loops
from pumice.nn.neurons import normed
from pumice.nn.surrogate import SURROGATES, Surrogate


class Own(Surrogate):
    """One that has no kernel."""

    def derivative(self, x):
        return 1 / (1 + x.abs())

    def smooth(self, x):
        raise NotImplementedError


def neuron(channels, **options):
    defaults = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "norm": nn.TDBN}
    made = nn.CubaNeuron(**{**defaults, **options})
    made.norm.threshold = 1.0
    made.norm.set_features(channels)
    made.norm.scale.data, made.norm.shift.data = torch.rand(channels) + 0.5, torch.rand(channels) / 2 + 0.1
    return made


def respond(model, x, weights, monkeypatch, *, as_one):
    """Everything that a training step gives."""
    with monkeypatch.context() as patch:
        calls, real = [], normed.spikes
        patch.setattr(normed, "spikes", lambda *args: calls.append(1) or real(*args))
        if not as_one:
            patch.setattr(normed, "applies", lambda *_: False)
        model, x = copy.deepcopy(model), x.clone().requires_grad_()
        spikes = model(x)
        (spikes * weights).sum().backward()
    assert bool(calls) == as_one
    norm = model.norm
    return spikes, x.grad, norm.scale.grad, norm.shift.grad, norm.running_mean, norm.running_var


def differing(model, x, weights, monkeypatch):
    """Which of them are not equal."""
    ours, parts = (respond(model, x, weights, monkeypatch, as_one=as_one) for as_one in (True, False))
    assert parts[0].any()
    names = ("spikes", "input", "scale", "shift", "mean", "variance")
    return {name for name, a, b in zip(names, ours, parts, strict=True) if not torch.equal(a, b)}


@settings(deadline=None, max_examples=30)
@given(
    shape=st.sampled_from([(3, 5, 7), (2, 16, 9, 9, 4), (4, 300, 70), (9, 7, 11, 3, 1), (1, 2, 40)]),
    surrogate=st.sampled_from([*sorted(SURROGATES), None, Own()]),
    gradient=st.sampled_from(["slayer", "stbp", "stbp-detached"]),
    decays=st.tuples(st.sampled_from([0.3, 1.0]), st.sampled_from([0.0, 0.5, 1.0])),
    graded=st.booleans(),
    unbiased=st.booleans(),
    seed=st.integers(0, 99),
)
def test_it_is_its_parts(shape, surrogate, gradient, decays, graded, unbiased, seed):  # noqa: PLR0917
    """SLAYER's gradient and both of STBP; rows that hold channels once or often; more steps than a sum has."""
    torch.manual_seed(seed)
    stbp = gradient != "slayer"
    made = neuron(
        shape[1],
        current_decay=1.0 if stbp else decays[0],
        voltage_decay=decays[1],
        graded_spike=graded and not stbp,
        surrogate=surrogate,
        gradient=gradient,
    )
    made.norm.unbiased = unbiased
    with pytest.MonkeyPatch.context() as patch:
        assert not differing(made, 3 * torch.randn(shape), torch.randn(shape), patch)


def test_decays_of_channels_and_a_current_too_large_for_32_bits(monkeypatch):
    torch.manual_seed(0)
    made = neuron(6, current_decay=(0.1, 0.9), voltage_decay=(0.1, 0.9), shared_param=False)
    made(torch.zeros(1, 6, 2))  # draws them
    x = torch.randn(300, 6, 8)
    x[0, 3] = 1e4
    assert not differing(made, x, torch.randn(300, 6, 8), monkeypatch)


@pytest.mark.parametrize(
    ("name", "defect", "shows"),
    [
        ("voltage_backward", lambda a: (*a[:6], a[6] / 2, *a[7:]), {"input", "scale", "shift"}),
        ("current_backward", lambda a: (*a[:7], -a[7], *a[8:]), {"input"}),
        ("current_forward", lambda a: (*a[:7], a[7] + 1, *a[8:]), {"spikes", "mean"}),
    ],
    ids=["voltage kept half", "mean's gradient of the wrong sign", "sums about another number"],
)
def test_planted_defects_show(name, defect, shows, monkeypatch):
    """Wrong arguments to the loops."""
    torch.manual_seed(0)
    made, x, weights, loop = neuron(5), torch.randn(8, 5, 9), torch.randn(8, 5, 9), getattr(loops, name)
    monkeypatch.setattr(loops, name, lambda *args: loop(*defect(args)))
    assert shows <= differing(made, x, weights, monkeypatch)


@pytest.mark.parametrize(
    "change",
    [
        lambda n: n.norm.eval(),
        lambda n: n.norm.register_forward_hook(lambda *_: None),
        lambda n: setattr(n.norm, "own_steps", torch.ones(4, 6, dtype=torch.bool)),
        lambda n: setattr(n, "persistent_state", True),
        lambda n: n.requires_grad_(),  # also of decays that were made to be fixed
        lambda n: n.double(),
        lambda n: setattr(n, "s_scale", 100),
        lambda n: setattr(n, "voltage_state", torch.ones(4, 3)),
    ],
    ids=["evaluation", "hook", "padding", "state", "decays that learn", "double", "integers", "a batch's state"],
)
def test_where_others_look_on_the_parts_run_one_by_one(change):
    made, x = neuron(3), torch.randn(4, 3, 6)
    assert normed.applies(made, x)
    change(made)
    assert not normed.applies(made, x.to(made.norm.scale.dtype))


@pytest.mark.parametrize("shape", [(), (5,), (5, 4)])
def test_too_few_dimensions_are_the_error_that_they_are_elsewhere(shape):
    with pytest.raises(InputError, match=r"CubaNeuron takes \(batch, \.\.\., time\), got input of shape"):
        neuron(5)(torch.zeros(shape))


def test_what_no_integer_holds_is_nan_without_a_word():
    """NumPy's warnings are errors here."""
    x = torch.randn(8, 5, 9)
    x[0, 2, 0] = 1e38
    made = neuron(5)
    assert normed.applies(made, x)
    assert made(x)[:, 2].isnan().all()


def test_the_result_does_not_depend_on_the_number_of_threads(monkeypatch):
    torch.manual_seed(0)
    made, x, weights = neuron(8), torch.randn(16, 8, 20, 20, 4), torch.randn(16, 8, 20, 20, 4)
    seen, threads = [], torch.get_num_threads()
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            seen.append(respond(made, x, weights, monkeypatch, as_one=True))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))
