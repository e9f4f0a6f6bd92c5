"""Batch normalisation over everything but the last axis, in as few passes over memory as it takes."""

from __future__ import annotations

from typing import Any

import torch

from pumice.nn.kernels import operators


class Normalize(torch.autograd.Function):
    r"""gain * (x - mean) / sqrt(var + eps) + shift, per channel, with statistics of the batch.

    torch's own kernels for channels-last memory add up a channel's numbers one after the other in float32, which is
    wrong in the fifth digit for a batch of images and steps; these are right to the last.

    Args of `apply`: x (..., channel) float32 on the CPU, contiguous; gain and shift per channel; eps; whether the
    variance is that with n - 1.

    Returns:
        y; the batch's mean; its variance with n - 1.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any, x: torch.Tensor, gain: torch.Tensor, shift: torch.Tensor, eps: float, unbiased: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As the class says."""
        n = x.numel() // x.shape[-1]
        near = x.view(n, -1)[0]
        first, second = _sums(operators.sum_powers, x, near)
        mean, var = first / n + near, (second - first * first / n) / n
        with_n_minus_1 = var * (n / max(n - 1, 1))
        inverse = 1 / deviation((with_n_minus_1 if unbiased else var) + eps)
        total_gain = gain * inverse
        y = torch.empty_like(x)
        operators.scale_rows(x, total_gain, shift - total_gain * mean, y)
        ctx.save_for_backward(x, mean, inverse, total_gain)
        ctx.freedom = max(n - 1, 1) if unbiased else n
        mean_and_var = mean.float(), with_n_minus_1.float()
        ctx.mark_non_differentiable(*mean_and_var)
        return y, *mean_and_var

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the arguments."""
        x, mean, inverse, total_gain = ctx.saved_tensors
        n = x.numel() // x.shape[-1]
        g, out = grads[0].contiguous(), torch.empty_like(x)
        total, product = _sums(operators.sum_products, x, g, mean)
        of_mean, of_var = total / n, product * inverse * inverse / ctx.freedom
        operators.adjoint_rows(x, g, mean, total_gain, of_mean, of_var, out)
        return out, (product * inverse).float(), total.float(), None, None


def deviation(var: torch.Tensor) -> torch.Tensor:
    """Square root of a variance, and NaN where that is infinite: a gain of 0 would hide it.

    Example:
        >>> deviation(torch.tensor([4.0, torch.inf])).tolist()
        [2.0, nan]
    """
    return torch.sqrt(var) + (var - var)


def _sums(operator: operators.Operator, x: torch.Tensor, *args: torch.Tensor) -> torch.Tensor:
    sums = x.new_empty(2, x.shape[-1], dtype=torch.float64)
    operator(x, *args, sums)
    return sums
