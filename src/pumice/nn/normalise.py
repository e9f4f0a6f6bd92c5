"""Batch normalisation over everything but the last axis, in as few passes over memory as it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pumice.nn.kernels import norm
from pumice.nn.kernels.threads import parallel_for

WIDEST = 256  # numbers in a row of the loops, where channels are few


class Normalise(torch.autograd.Function):
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
        channels = x.shape[-1]
        n, tile = x.numel() // channels, _tile(x)
        near = x.view(-1, channels)[0]
        first, second = _sums(norm.sum_powers, x, x.view(-1).numpy(), _row(near, tile))
        mean, var = first / n + near, (second - first * first / n) / n
        with_n_minus_1 = var * (n / max(n - 1, 1))
        inverse = 1 / torch.sqrt((with_n_minus_1 if unbiased else var) + eps)
        total_gain = gain * inverse
        y = torch.empty_like(x)
        rows = _row(total_gain, tile), _row(shift - total_gain * mean, tile)
        parallel_for(norm.scale, n // tile, x.view(-1).numpy(), *rows, y.view(-1).numpy(), grain=norm.ROWS)
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
        n, tile = x.numel() // x.shape[-1], _tile(x)
        g, out = grads[0].contiguous(), torch.empty_like(x)
        arrays = x.view(-1).numpy(), g.view(-1).numpy(), _row(mean, tile)
        total, product = _sums(norm.sum_products, x, *arrays)
        rows = (_row(r, tile) for r in (total_gain, total / n, product * inverse * inverse / ctx.freedom))
        parallel_for(norm.adjoint, n // tile, *arrays, *rows, out.view(-1).numpy(), grain=norm.ROWS)
        return out, (product * inverse).float(), total.float(), None, None


def _tile(x: torch.Tensor) -> int:
    """How often a row holds all channels."""
    n, tile = x.numel() // x.shape[-1], 1
    while n % (2 * tile) == 0 and 2 * tile * x.shape[-1] <= WIDEST:
        tile *= 2
    return tile


def _row(per_channel: torch.Tensor, tile: int) -> Any:
    return np.tile(per_channel.detach().float().numpy(), tile)


def _sums(loop: Any, x: torch.Tensor, *arrays: Any) -> torch.Tensor:
    """The two sums that a loop gives for every number of a row, per channel, in float64."""
    channels, tile = x.shape[-1], _tile(x)
    groups = -(-x.numel() // (norm.ROWS * tile * channels))
    found = np.empty((2, groups, tile * channels), np.float32)
    parallel_for(loop, groups, *arrays, *found)
    return torch.from_numpy(found.sum(1, dtype=np.float64)).view(2, tile, channels).sum(1)
