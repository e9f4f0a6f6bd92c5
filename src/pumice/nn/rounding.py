"""Rounding with a straight-through gradient: the integer goes forward, the gradient passes as if nothing happened."""

from __future__ import annotations

from typing import Any

import torch

from pumice.fixedpoint.formats import STATE_LIMIT


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
    rounded: torch.Tensor = _Rounded.apply(x, low, high, 2)
    return rounded


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
    rounded: torch.Tensor = _Rounded.apply(x, low, high, 1)
    return rounded


class _Rounded(torch.autograd.Function):
    """The nearest multiple of `step` within [low, high], which are multiples too; infinity becomes NaN."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, low: int, high: int, step: int) -> torch.Tensor:
        x = x.detach()
        ctx.save_for_backward(x)
        ctx.bounds = low, high
        rounded = (x / step).round_().clamp_(low // step, high // step).mul_(step)
        return rounded.addcmul_(x, x.new_zeros(()))  # 0 but for what is not finite

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (x,), (low, high) = ctx.saved_tensors, ctx.bounds
        return torch.where((x >= low) & (x <= high), grads[0], 0), None, None, None
