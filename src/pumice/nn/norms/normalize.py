"""Batch normalisation over everything but the last axis, in as few passes over memory as it takes."""

from __future__ import annotations

from typing import Any

import torch

from pumice.nn.kernels import operators

_ON_CUDA = {torch.float32, torch.bfloat16, torch.float16}


class Normalize(torch.autograd.Function):
    r"""gain * (x - mean) / sqrt(var + eps) + shift, per channel, with statistics of the batch.

    torch's own kernels for channels-last memory add up a channel's numbers one after the other in float32, which is
    wrong in the fifth digit for a batch of images and steps; these are right, unless the first row lies far from all
    others.

    Args of `apply`: x (..., channel) of a kind that it `takes`, contiguous; gain and shift per channel; eps; whether
    the variance is that with n - 1.

    Returns:
        y, float32; the batch's mean; its variance with n - 1.
    """

    @staticmethod
    def takes(x: torch.Tensor) -> bool:
        """float32 on the CPU; on CUDA half precision, too."""
        return x.is_cuda and x.dtype in _ON_CUDA if x.device.type != "cpu" else x.dtype == torch.float32

    @staticmethod
    def widens(x: torch.Tensor) -> bool:
        """Whether half precision becomes float32 on the way, without a copy of its own."""
        return x.is_cuda and Normalize.takes(x)

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any, x: torch.Tensor, gain: torch.Tensor, shift: torch.Tensor, eps: float, unbiased: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As the class says."""
        y, stats = torch.empty_like(x, dtype=torch.float32), x.new_empty(5, x.shape[-1], dtype=torch.float64)
        operators.normalize_forward(x, gain, shift, eps, unbiased, y, stats)
        ctx.save_for_backward(x, stats)
        ctx.unbiased = unbiased
        mean_and_var = stats[0].float(), stats[4].float()
        ctx.mark_non_differentiable(*mean_and_var)
        return y, *mean_and_var

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the arguments."""
        x, stats = ctx.saved_tensors
        out, both = torch.empty_like(x), x.new_empty(2, x.shape[-1], dtype=torch.float32)
        operators.normalize_backward(x, grads[0].contiguous(), stats, ctx.unbiased, out, both)
        return out, both[0], both[1], None, None
