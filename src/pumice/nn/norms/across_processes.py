"""Statistics of a batch that several processes share."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed


def is_shared() -> bool:
    """Whether other processes have a share of the batch."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def channel_sum(x: torch.Tensor, own: torch.Tensor | None = None, *, shared: bool) -> torch.Tensor:
    """Sum per channel over samples, positions and steps, with gradient.

    Args:
        x: Shape (batch, channel, ..., time).
        own: Which steps count, (batch, 1, ..., time); all if not given.
        shared: Over the samples of all processes.
    """
    counted = x if own is None else x * own
    mine = counted.sum([d for d in range(x.ndim) if d != 1])
    total: torch.Tensor = _SumOverProcesses.apply(mine) if shared else mine
    return total


def channel_size(x: torch.Tensor, own: torch.Tensor | None = None, *, shared: bool) -> torch.Tensor:
    """How many numbers `channel_sum` adds up, shape (1,)."""
    size = torch.tensor([x.numel() / x.shape[1]], dtype=x.dtype, device=x.device)
    if own is not None:
        size = size * own.to(x.dtype).mean()
    if shared:
        distributed.all_reduce(size)
    return size


class _SumOverProcesses(torch.autograd.Function):
    """Each process's value counts for every process's loss, so gradients are added up too."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> torch.Tensor:
        total = grad_output.clone()
        distributed.all_reduce(total)
        return total
