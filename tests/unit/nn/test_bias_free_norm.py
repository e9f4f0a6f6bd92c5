import pytest
import torch

from pumice import nn


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
