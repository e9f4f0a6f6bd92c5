"""The Triton kernels under Triton's interpreter, against the numba loops: equal in every bit forward."""

import importlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pumice.nn.kernels import cpu

triton = pytest.importorskip("triton")


@pytest.fixture(scope="module")
def cuda():
    """The kernels as the interpreter runs them; it is chosen when they are defined."""
    patch = pytest.MonkeyPatch()
    patch.setenv("TRITON_INTERPRET", "1")
    module = importlib.reload(importlib.import_module("pumice.nn.kernels.cuda"))
    patch.setattr(module, "BLOCK", 16)
    yield module
    patch.undo()
    importlib.reload(module)


def keeps(generator, channels, dtype=torch.int64):
    kept = torch.randint(0, 4097, (channels,), generator=generator)
    return kept if dtype == torch.int64 else (kept / 4096).to(dtype)


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 2**16),
    channels=st.sampled_from([(1, 1), (1, 7), (7, 1), (7, 7), (0, 7)]),
    peak=st.sampled_from([1.0, 3e4]),
    scale=st.sampled_from([4096.0, 6400.0]),
    graded=st.booleans(),
    wants_u=st.booleans(),
)
def test_states_and_spikes_equal_the_cpus(  # noqa: PLR0917
    cuda, seed, channels, peak, scale, graded, wants_u
):
    g = torch.Generator().manual_seed(seed)
    steps, n = 5, 21
    x = peak * torch.randn(steps, n, generator=g)
    keep_u, keep_v = keeps(g, channels[0]), keeps(g, channels[1])
    states = torch.randn(2, n, generator=g)
    numbers = (scale, 0.5 + 0.01 / scale, (0.5 + 0.01 / scale) * scale, graded)
    seen = []
    for kernels in (cpu, cuda):
        u = torch.zeros_like(x) if wants_u and channels[0] else x.new_empty(0, 0)
        v, s = torch.zeros_like(x), torch.zeros_like(x)
        kernels.cuba_forward(x, keep_u, keep_v, states[0], states[1], *numbers, u, v, s)
        seen.append((u, v, s))
    assert seen[0][2].any()
    for ours, theirs in zip(*seen, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("channels", [1, 7])
def test_the_integrator_equals_the_cpus(cuda, channels):
    g = torch.Generator().manual_seed(0)
    x, state, keep = torch.randn(6, 21, generator=g), torch.randn(21, generator=g), keeps(g, channels)
    seen = []
    for kernels in (cpu, cuda):
        y = torch.zeros_like(x)
        kernels.integrate_forward(x, keep, state, 4096.0, y)
        seen.append(y)
    assert torch.equal(*seen)
    assert seen[0].abs().sum() > 0


@pytest.mark.parametrize("learns", [False, True])
def test_gradients_equal_the_cpus(cuda, learns):
    g = torch.Generator().manual_seed(0)
    grad, y, keep = torch.randn(6, 21, generator=g), torch.randn(6, 21, generator=g), keeps(g, 7, torch.float32)
    seen = []
    for kernels in (cpu, cuda):
        out, sums = grad.clone(), torch.zeros(21 if learns else 0, dtype=torch.float64)
        kernels.integrate_backward(out, keep, y if learns else y.new_empty(0, 0), sums)
        both = grad.clone()
        kernels.cuba_backward(both, keep, keep[:1])
        seen.append((out, sums, both))
    for ours, theirs in zip(*seen, strict=True):
        torch.testing.assert_close(theirs, ours, rtol=1e-6, atol=1e-7)
    assert not torch.equal(seen[0][0], grad)
