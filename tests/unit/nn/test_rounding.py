import torch

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
