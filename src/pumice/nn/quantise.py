"""Rounding with a straight-through gradient: the integer goes forward, the gradient passes as if nothing happened."""

from __future__ import annotations

import torch

from pumice.fixedpoint.bits import STATE_LIMIT


def straight_through(exact: torch.Tensor, smooth: torch.Tensor) -> torch.Tensor:
    """The value of `exact` with the gradient of `smooth` (Bengio, Leonard, Courville, 2013).

    Example:
        >>> x = torch.tensor(0.4, requires_grad=True)
        >>> y = straight_through(x.round(), x)
        >>> y.backward()
        >>> y.item(), x.grad.item()
        (0.0, 1.0)
    """
    return smooth + (exact - smooth).detach() if smooth.requires_grad else exact


def round_even(x: torch.Tensor, low: int, high: int) -> torch.Tensor:
    """The nearest even integer within [low, high]: SLAYER's weight grid, 8 bits with sign.

    The gradient is 1 inside the range and 0 outside.

    Args:
        x: Real weights in integer units, any shape.
        low: Smallest value, even.
        high: Largest value, even.

    Example:
        >>> round_even(torch.tensor([2.9, 3.1, 400.0]), -256, 254).tolist()
        [2.0, 4.0, 254.0]
    """
    clamped = _clamped(x, low, high)
    return straight_through((2 * torch.round(clamped.detach() / 2)).clamp(low, high), clamped)


def wrap_sum(x: torch.Tensor) -> torch.Tensor:
    """A convolution's sum as Lava's process holds it, in 24 bits with sign: [-2^23, 2^23); the gradient is 1.

    Args:
        x: Whole numbers within +-2^24.

    Example:
        >>> wrap_sum(torch.tensor([2.0**23 - 1, 2.0**23, -(2.0**23) - 2])).tolist()
        [8388607.0, -8388608.0, 8388606.0]
    """
    wrapped = torch.where(x >= STATE_LIMIT, x - 2 * STATE_LIMIT, x)
    return straight_through(torch.where(wrapped < -STATE_LIMIT, wrapped + 2 * STATE_LIMIT, wrapped), x)


def round_integer(x: torch.Tensor, low: int, high: int) -> torch.Tensor:
    """The nearest integer within [low, high], gradient as in `round_even`.

    Example:
        >>> round_integer(torch.tensor([2.9, -5000.0]), -4096, 4095).tolist()
        [3.0, -4096.0]
    """
    clamped = _clamped(x, low, high)
    return straight_through(torch.round(clamped.detach()), clamped)


def _clamped(x: torch.Tensor, low: int, high: int) -> torch.Tensor:
    """As torch's clamp, but infinity becomes NaN."""
    constant = x.detach()
    return x.clamp(low, high) + (constant - constant)
