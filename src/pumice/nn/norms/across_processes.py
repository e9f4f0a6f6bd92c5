"""Statistics of a batch that several processes share."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed


def is_shared() -> bool:
    """Whether other processes have a share of the batch."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def global_sum(x: torch.Tensor) -> torch.Tensor:
    """Sum per channel over all processes' samples, positions and steps, with gradient."""
    total: torch.Tensor = _SumOverProcesses.apply(x.sum([d for d in range(x.ndim) if d != 1]))
    return total


def global_size(x: torch.Tensor) -> torch.Tensor:
    """How many numbers each channel has in all processes."""
    size = torch.tensor([x.numel() / x.shape[1]], dtype=x.dtype, device=x.device)
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
