import pytest
import torch

from pumice.nn.neurons.sigma_delta import Changes
from pumice.nn.neurons.weight_grid import OnGrid
from pumice.nn.rounding import round_even, round_integer


def test_even_rounding_is_slayers_grid():
    weight = torch.linspace(-5, 5, 999)
    quantised = torch.round(weight / (2 / 64)) * (2 / 64)
    expected = quantised.clamp(-256 / 64, 254 / 64) * 64
    assert torch.equal(round_even(weight * 64, -256, 254), expected)


def test_the_gradient_passes_inside_the_range_only():
    x = torch.tensor([-300.0, 3.3, 300.0], requires_grad=True)
    round_even(x, -256, 254).sum().backward()
    assert x.grad.tolist() == [0, 1, 0]
    y = torch.tensor([-5000.0, 3.3], requires_grad=True)
    round_integer(y, -4096, 4095).sum().backward()
    assert y.grad.tolist() == [0, 1]


def test_rounding_what_is_rounded_changes_nothing():
    x = torch.linspace(-300, 300, 1001)
    for rounded in (round_even(x, -256, 254), round_integer(x, -256, 255)):
        assert not torch.equal(rounded, x)
    assert torch.equal(round_even(round_even(x, -256, 254), -256, 254), round_even(x, -256, 254))
    assert torch.equal(round_integer(round_integer(x, -256, 255), -256, 255), round_integer(x, -256, 255))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: OnGrid.apply(x, 2 / 64),
        lambda x: round_even(64 * x, -256, 254),
        lambda x: round_integer(64 * x, -4096, 4095),
        lambda x: Changes.apply(x, 0.1),
    ],
    ids=["weights", "even", "whole", "changes"],
)
def test_a_gradient_that_passes_straight_through_is_differentiated_again(function):
    """It is linear in what arrives; its derivative had been missing, without a word."""
    x, slopes = torch.randn(2, 1, 3, 5, generator=torch.Generator().manual_seed(0)).requires_grad_().unbind()
    (first,) = torch.autograd.grad(function(x), x, slopes, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), slopes)
    change = torch.ones_like(slopes)
    (ahead,) = torch.autograd.grad(function(x), x, slopes + change)
    assert second.any()
    # Of |A s|^2 along c: 2 (A s) (A c), and A c = A (s + c) - A s.
    torch.testing.assert_close((second * change).sum(), 2 * (first * (ahead - first)).sum(), rtol=1e-4, atol=1e-4)
