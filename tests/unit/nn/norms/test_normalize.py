"""The compiled batch normalisation against tdBN's formula in float64."""

import copy

import pytest
import torch

from pumice.nn import TDBN


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("shape", [(3, 5, 7), (1, 1, 9), (4, 12, 6, 5, 3), (2, 300, 4), (8, 16, 24, 24, 6)])
def test_it_is_tdbns_formula(shape, unbiased):
    """Also far from zero, and where a row of the loops holds channels once, often, or does not divide the sums."""
    torch.manual_seed(0)
    norm = TDBN(shape[1], threshold=1.25, unbiased=unbiased)
    norm.scale.data, norm.shift.data = torch.rand(shape[1]) + 0.5, torch.randn(shape[1])
    exact = copy.deepcopy(norm).double()
    x, weights, seen = 3 * torch.randn(shape) + 20, torch.randn(shape), []
    for one, dtype in ((norm, torch.float32), (exact, torch.float64)):
        given = x.clone().to(dtype).requires_grad_()
        y = one(given)
        (y * weights.to(dtype)).sum().backward()
        seen.append((y.detach(), given.grad, one.scale.grad, one.shift.grad, one.running_mean, one.running_var))
    for ours, theirs in zip(*seen, strict=True):
        assert ours.dtype == torch.float32
        assert float((ours - theirs).norm()) <= 1e-5 * float(theirs.norm()) + 1e-6


def test_the_result_does_not_depend_on_the_number_of_threads():
    torch.manual_seed(0)
    x, seen, threads = torch.randn(16, 8, 20, 20, 4), [], torch.get_num_threads()
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            norm, given = TDBN(8, threshold=1.0), x.clone().requires_grad_()
            y = norm(given)
            (y**3).sum().backward()
            seen.append((y.detach(), given.grad, norm.scale.grad))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))


def test_a_variance_beyond_all_numbers_shows():
    """A gain of 0 would hide it; NumPy's warnings are errors here."""
    norm, x = TDBN(2, threshold=1.0), torch.randn(4, 2, 6)
    x[:2, 1], x[2:, 1] = 1e20, -1e20
    y = norm(x)
    assert y[:, 1].isnan().all()
    assert y[:, 0].isfinite().all()
