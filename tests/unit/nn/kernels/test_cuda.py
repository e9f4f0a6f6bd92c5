"""The Triton kernels under Triton's interpreter, against the numba loops: equal in every bit forward."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pumice.nn.kernels import cpu
from pumice.nn.surrogate import SURROGATES, GradedExponential
from tests.contract.standin_gpu import load_kernels

triton = pytest.importorskip("triton")


@pytest.fixture(scope="module")
def cuda():
    """The kernels as the interpreter runs them; it is chosen when they are defined."""
    patch = pytest.MonkeyPatch()
    patch.setenv("TRITON_INTERPRET", "1")
    norm, surrogate, credit, module = load_kernels()
    for part in (surrogate, credit, module):
        patch.setattr(part, "BLOCK", 16)
    patch.setattr(norm, "ROWS", 4)
    patch.setattr(norm, "CHANNELS", 8)
    patch.setattr(norm, "PROGRAMS", 3)
    patch.setattr(norm, "PARTS", 2)
    yield module
    patch.undo()
    load_kernels()


def keeps(generator, channels, dtype=torch.int64):
    kept = torch.randint(-41, 4097 + 41, (channels,), generator=generator)
    return kept if dtype == torch.int64 else (kept / 4096).to(dtype)


@settings(max_examples=15)
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


@pytest.mark.parametrize("filters", [False, True])
@pytest.mark.parametrize("graded", [False, True])
def test_what_is_not_finite_and_what_is_too_large_show_as_on_the_cpu(cuda, filters, graded):
    g = torch.Generator().manual_seed(0)
    x, keep_v = torch.randn(6, 21, generator=g), keeps(g, 7)
    x[2, 3], x[0, 4], x[5, 5], x[1, 6] = torch.inf, -torch.inf, torch.nan, 1e30
    states, keep_u = torch.randn(2, 21, generator=g), keeps(g, 7 if filters else 0)
    states[1, 8] = torch.nan
    seen = []
    for kernels in (cpu, cuda):
        u, v, s = torch.zeros(6, 21) if filters else x.new_empty(0, 0), torch.zeros_like(x), torch.zeros_like(x)
        y = torch.zeros_like(x)
        kernels.cuba_forward(x, keep_u, keep_v, states[0], states[1], 4096.0, 0.5, 2048.0, graded, u, v, s)
        kernels.integrate_forward(x, keep_v, states[1], 4096.0, y)
        seen.append((u, v, s, y))
    assert torch.equal(seen[0][2][-1].isnan().nonzero()[:, 0], torch.tensor([3, 4, 5, 6, 8]))
    for ours, theirs in zip(*seen, strict=True):
        assert torch.equal(theirs.nan_to_num(nan=7e7), ours.nan_to_num(nan=7e7))


@pytest.mark.parametrize("kind", [*SURROGATES.values()])
def test_spikes_in_half_precision_and_their_gradients(cuda, kind):
    """Under autocast, spikes and what comes back to them are bfloat16; everything between stays float32."""
    g = torch.Generator().manual_seed(0)
    surrogate, x, grad = kind(0.7), torch.randn(6, 21, generator=g), torch.randn(6, 21, generator=g).bfloat16()
    keep, rest, tau = torch.tensor([1024]), torch.zeros(21), torch.tensor([0.25], dtype=torch.float64)
    seen = []
    for kernels, fired in ((cpu, torch.zeros(6, 21)), (cuda, torch.zeros(6, 21, dtype=torch.bfloat16))):
        given = grad.to(fired.dtype)
        v, of_stbp, of_spikes = (torch.full_like(x, torch.nan) for _ in range(3))
        none = keep.new_empty(0)
        kernels.cuba_forward(x, none, keep, rest, rest, 4096.0, 0.5, 2048.0, False, x.new_empty(0, 0), v, fired)
        kernels.stbp_backward_of(given, v, tau, 0.5, 1.0, *surrogate.compiled(), False, of_stbp)
        kernels.surrogate_backward(given, v, 0.5, 1.0, *surrogate.compiled(), of_spikes)
        seen.append((fired.float(), v, of_stbp, of_spikes))
    for exact, ours, theirs in zip((True, True, False, False), *seen, strict=True):
        torch.testing.assert_close(theirs, ours, rtol=0 if exact else 1e-5, atol=0 if exact else 1e-7)
    assert seen[0][0].any()


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


@pytest.mark.parametrize("kind", [*SURROGATES.values(), GradedExponential])
@pytest.mark.parametrize("scale", [1.0, 64.0])
def test_surrogates_equal_torchs(cuda, kind, scale):
    g = torch.Generator().manual_seed(0)
    surrogate, v, grad = kind(0.7), scale * torch.randn(6, 21, generator=g), torch.randn(6, 21, generator=g)
    out = torch.full_like(v, torch.nan)
    cuda.surrogate_backward(grad, v, 0.5 * scale, scale, *surrogate.compiled(), out)
    wanted = grad * surrogate.derivative(v / scale - 0.5) / scale
    torch.testing.assert_close(out, wanted, rtol=1e-5, atol=1e-7)
    assert wanted.abs().sum() > 0


@pytest.mark.parametrize("kind", [*SURROGATES.values()])
@pytest.mark.parametrize("detached", [False, True])
def test_stbps_adjoint_equals_the_cpus(cuda, kind, detached):
    g = torch.Generator().manual_seed(0)
    surrogate, v, grad = kind(0.7), torch.randn(6, 21, generator=g), torch.randn(6, 21, generator=g)
    tau = torch.tensor([0.25], dtype=torch.float64)
    h = surrogate.derivative(v - 0.5)
    wanted, given, found = h.clone(), h.clone(), torch.full_like(v, torch.nan)
    cpu.stbp_backward(grad, v, tau, 0.5, detached, wanted)
    cuda.stbp_backward(grad, v, tau, 0.5, detached, given)
    cuda.stbp_backward_of(grad, v, tau, 0.5, 1.0, *surrogate.compiled(), detached, found)
    for ours in (given, found):
        torch.testing.assert_close(ours, wanted, rtol=1e-5, atol=1e-7)
    assert not torch.equal(wanted, h * grad)  # later steps have a part in it


def test_credit_equals_the_cpus(cuda):
    g = torch.Generator().manual_seed(0)
    s = (torch.rand(9, 21, generator=g) < 0.3).float()
    s[:, 3] = 0  # a silent neuron has the mean of its gradient
    grad, z = torch.randn(2, 9, 21, generator=g)
    seen = []
    for kernels in (cpu, cuda):
        found = torch.full_like(z, torch.nan), *(torch.full((21,), torch.nan) for _ in range(3))
        kernels.credit(s, grad, z, 0.875, 0.75, 1.5, *found)
        seen.append(found)
    for ours, theirs in zip(*seen, strict=True):
        torch.testing.assert_close(theirs, ours, rtol=1e-6, atol=1e-6)
    per_step, count, error, potential = seen[0]
    assert torch.equal(count, s.sum(0))
    assert len({*error.tolist(), *potential.tolist()}) > 30
    assert not torch.equal(per_step, s)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize(("rows", "channels"), [(2, 3), (26, 1), (26, 8), (30, 11)])
def test_norms_equal_the_cpus(cuda, dtype, unbiased, rows, channels):
    g = torch.Generator().manual_seed(0)
    x = (torch.randn(rows, channels, generator=g) + 5).to(dtype)
    grad, (gain, shift) = torch.randn(rows, channels, generator=g), torch.randn(2, channels, generator=g)
    seen = []
    for kernels, taken in ((cpu, x.float()), (cuda, x)):
        y, out, grads = (torch.full(size, torch.nan) for size in ((rows, channels), (rows, channels), (2, channels)))
        stats = torch.full((5, channels), torch.nan, dtype=torch.float64)
        kernels.normalize_forward(taken, gain, shift, 1e-5, unbiased, y, stats)
        kernels.normalize_backward(taken, grad, stats, unbiased, out, grads)
        seen.append((y, stats, out, grads))
    for ours, theirs in zip(*seen, strict=True):
        torch.testing.assert_close(theirs.to(ours), ours, rtol=1e-4, atol=1e-4)
    assert not torch.equal(seen[0][0], seen[0][2])


@pytest.mark.filterwarnings("ignore:invalid value")
def test_an_infinite_input_shows(cuda):
    x, none = torch.tensor([[1.0, 2.0], [torch.inf, 3.0]]), torch.ones(2)
    y, stats = torch.zeros(2, 2), torch.zeros(5, 2, dtype=torch.float64)
    cuda.normalize_forward(x, none, none, 1e-5, False, y, stats)
    assert y[:, 0].isnan().all()
    assert y[:, 1].isfinite().all()


def test_another_derivative_has_no_kernel():
    class Mine(SURROGATES["rectangular"]):
        def derivative(self, x):
            return torch.ones_like(x)

    assert SURROGATES["rectangular"]().compiled() is not None
    assert Mine().compiled() is None
