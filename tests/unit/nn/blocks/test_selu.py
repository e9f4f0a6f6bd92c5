"""Oracles e5 of the self-normalising networks."""

from functools import partial

import numpy as np
import pytest
import torch

from pumice.errors import InputError
from pumice.nn.blocks.selu import ALPHA, LAMBDA, alpha_dropout_affine, self_normalizing_

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


def test_a_keep_that_is_no_probability_is_refused():
    with pytest.raises(InputError, match="keep must lie in"):
        alpha_dropout_affine(0.0)
