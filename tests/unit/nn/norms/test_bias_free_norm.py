import pytest
import torch

from pumice import nn
from pumice.errors import PumiceWarning


def test_it_keeps_zero_and_normalises_the_mean_square():
    norm = nn.BiasFreeNorm(3, threshold=2.0)
    x = torch.randn(50, 3, 4, 5) + 1
    y = norm(x)
    assert torch.equal(norm(torch.zeros_like(x)), torch.zeros_like(x))
    torch.testing.assert_close(y.square().mean((0, 2, 3)).sqrt(), torch.full((3,), 2.0), atol=1e-3, rtol=0)


def test_it_folds_into_a_gain_alone():
    norm = nn.BiasFreeNorm(3, threshold=1.0)
    x = torch.randn(50, 3, 4, 5) + 1
    for _ in range(100):
        norm(x)
    norm.eval()
    assert norm.offset().tolist() == [0, 0, 0]
    torch.testing.assert_close(norm(x), x * norm.gain().reshape(1, 3, 1, 1))
    assert norm.running_var.tolist() == pytest.approx(x.square().mean((0, 2, 3)).tolist(), rel=1e-3)


def test_it_has_no_shift_to_learn():
    assert [name for name, _ in nn.BiasFreeNorm(3).named_parameters()] == ["scale"]


def test_one_value_per_channel_moves_no_estimate():
    """Divided by its own size it is +1 or -1, whatever it was."""
    norm = nn.BiasFreeNorm(3, threshold=1.0)
    with pytest.warns(PumiceWarning, match="BiasFreeNorm: nothing is learned from one value per channel"):
        norm(torch.full((1, 3, 1), 5.0))
    assert norm.running_var.tolist() == [1, 1, 1]
