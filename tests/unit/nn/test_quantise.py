import torch

from pumice.nn.quantise import round_even, round_integer


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
