"""Oracles e5 of the self-normalising networks."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch

from pumice.errors import InputError
from pumice.nn.blocks.selu import ALPHA, LAMBDA, alpha_dropout_affine, self_normalizing_, selu_moments

Z = torch.linspace(-12, 12, 400_001, dtype=torch.float64)
DENSITY = torch.exp(-(Z**2) / 2) / (2 * torch.pi) ** 0.5


def moments(inputs, weights):
    """The map g: mean and variance behind SELU of a weighted sum of inputs that have this mean and variance."""
    mean, variance = inputs
    y = torch.selu(mean * weights.sum() + (variance * weights.square().sum()).sqrt() * Z)
    first, second = (torch.trapezoid(power * DENSITY, Z) for power in (y, y * y))
    return torch.stack([first, second - first**2])


def test_the_constants():
    assert pytest.approx(1.6732632423543772, abs=1e-14) == ALPHA
    assert pytest.approx(1.0507009873554805, abs=1e-14) == LAMBDA


@pytest.mark.parametrize(("x", "y"), [(-1.0, -1.1113307378), (0.0, 0.0), (2.0, 2.1014019747)])
def test_torchs_selu_is_the_papers(x, y):
    assert torch.nn.functional.selu(torch.tensor(x, dtype=torch.float64)).item() == pytest.approx(y, abs=1e-9)


def test_mean_0_and_variance_1_are_an_attracting_fixed_point():
    """Weights whose sum is 0, and that of their squares 1, as `self_normalizing_` draws them on average."""
    g = partial(moments, weights=torch.tensor([0.7, -0.7, 0.1, -0.1], dtype=torch.float64))
    fixed = torch.tensor([0.0, 1.0], dtype=torch.float64)
    np.testing.assert_allclose(g(fixed), fixed, atol=1e-6)
    jacobian = torch.autograd.functional.jacobian(g, fixed)
    np.testing.assert_allclose(jacobian, [[0, 0.088835], [0, 0.782648]], atol=1e-6)
    assert float(torch.linalg.matrix_norm(jacobian, 2)) == pytest.approx(0.787673, abs=1e-6)


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (0.1, 1.5), (-0.3, 0.4), (2.0, 3.0), (-1.0, 5.0)])
@pytest.mark.parametrize("weights", [(0.7, -0.7, 0.1, -0.1), (0.9, 0.5, -0.2), (-0.4, -0.3)])
def test_the_closed_form_is_the_integral(mean, variance, weights):
    weights = torch.tensor(weights, dtype=torch.float64)
    found = selu_moments(
        mean, variance, weight_sum=weights.sum().item(), weight_square_sum=weights.square().sum().item()
    )
    expected = moments(torch.tensor([mean, variance], dtype=torch.float64), weights)
    np.testing.assert_allclose(found, expected, atol=1e-7)


def corners(n):
    axes = np.linspace(-0.1, 0.1, n), np.linspace(0.8, 1.5, n), np.linspace(-0.1, 0.1, n), np.linspace(0.95, 1.1, n)
    return itertools.product(*axes)


def test_theorem_1_the_intervals_are_mapped_into_themselves():
    """Its own bounds: the mean within [-.03106, .06773], the variance within [.80009, 1.48617]."""
    found = np.array([selu_moments(m, v, weight_sum=w, weight_square_sum=t) for m, v, w, t in corners(7)])
    low, high = found.min(0), found.max(0)
    np.testing.assert_allclose((low[0], high[0]), (-0.03106, 0.06773), atol=1e-5)
    assert 0.80009 <= low[1] < 0.805
    assert 1.48 < high[1] <= 1.48617


def test_the_map_contracts_over_the_intervals():
    """By the largest singular value of its Jacobian, from differences."""
    step = 1e-4
    for mean, variance, weight_sum, square_sum in corners(4):
        g = partial(selu_moments, weight_sum=weight_sum, weight_square_sum=square_sum)
        by_mean = np.subtract(g(mean + step, variance), g(mean - step, variance)) / (2 * step)
        by_variance = np.subtract(g(mean, variance + step), g(mean, variance - step)) / (2 * step)
        assert np.linalg.norm(np.stack([by_mean, by_variance], 1), 2) < 1


def test_moments_of_nothing_are_refused():
    for variance in (0.0, float("nan")):
        with pytest.raises(InputError, match=f"must be > 0, got {variance} and 1.0"):
            selu_moments(0.0, variance)
    for mean, variance in ((0.0, 5000.0), (0.0, float("inf")), (float("nan"), 1.0)):
        with pytest.raises(InputError, match="must be 350 together at most"):
            selu_moments(mean, variance, weight_sum=1.0)


def test_torchs_gain_for_selu_is_not_the_papers():
    """Weights of variance 9/16 / n leave the interval; its fixed point of the variance is .03, not 1."""
    gain = torch.nn.init.calculate_gain("selu")
    mean, variance = 0.0, 1.0
    for _ in range(40):
        mean, variance = selu_moments(mean, variance, weight_square_sum=gain**2)
    assert variance == pytest.approx(0.0314, abs=1e-3)


def test_a_deep_network_keeps_its_moments_and_another_initialisation_does_not():
    torch.manual_seed(0)
    x = torch.randn(200, 256)
    y, wider = x, x
    for _ in range(16):
        layer = self_normalizing_(torch.nn.Linear(256, 256))
        y = torch.nn.functional.selu(layer(y))
        wider = torch.nn.functional.selu(2 * layer(wider))
    assert abs(y.mean().item()) < 0.1
    assert y.var().item() == pytest.approx(1, abs=0.2)
    assert wider.var().item() > 2


@pytest.mark.parametrize(
    ("keep", "a", "b"), [(0.95, 0.95484448, 0.08393557), (0.9, 0.92128452, 0.16197097), (0.8, 0.87890358, 0.30903996)]
)
def test_alpha_dropout(keep, a, b):
    assert alpha_dropout_affine(keep) == pytest.approx((a, b), abs=1e-8)
    # torch's layer, on ones: kept units become A + B, dropped ones A alpha' + B.
    found = torch.nn.AlphaDropout(1 - keep)(torch.ones(1000, dtype=torch.float64)).unique()
    np.testing.assert_allclose(found, [b - a * LAMBDA * ALPHA, a + b], atol=1e-6)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5])
def test_torchs_alpha_dropout_keeps_both_moments_and_dropout_does_not(rate):
    torch.manual_seed(0)
    x = torch.randn(200_000, dtype=torch.float64)
    for module, keeps in ((torch.nn.AlphaDropout(rate), True), (torch.nn.Dropout(rate), False)):
        y = module(x)
        assert abs(y.mean().item()) < 0.02
        assert (y.var().item() == pytest.approx(1, abs=0.02)) is keeps
    assert torch.equal(torch.nn.AlphaDropout(rate).eval()(x), x)


def test_a_keep_that_is_no_probability_is_refused():
    with pytest.raises(InputError, match="keep must lie in"):
        alpha_dropout_affine(0.0)
