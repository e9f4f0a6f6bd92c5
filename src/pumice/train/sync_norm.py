"""Batch normalisation over the whole batch when several processes share it."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed

from pumice.nn import TDBN


class SyncTDBN(TDBN):
    """`TDBN` whose mean and variance are those of all processes' samples together.

    So the result is that of one process with the whole batch, up to rounding, and the running estimates are
    the same everywhere.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise by the global batch in training, by the running estimates otherwise."""
        if not self.training:
            return super().forward(x)
        dims = [d for d in range(x.ndim) if d != 1]
        size = torch.tensor([x.numel() / x.shape[1]], dtype=x.dtype, device=x.device)
        distributed.all_reduce(size)
        shape = (1, -1, *[1] * (x.ndim - 2))
        mean = _sum(x.sum(dims)) / size
        var = _sum((x - mean.view(shape)).square().sum(dims)) / size
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * size / (size - 1).clamp(min=1), self.momentum)
        gain = self.scale * (self.alpha * self._threshold()) / torch.sqrt(var + self.eps)
        return (x - mean.view(shape)) * gain.view(shape) + self.shift.view(shape)


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


def _sum(x: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = _SumOverProcesses.apply(x)
    return total


def synchronise_norms(model: torch.nn.Module) -> None:
    """Make every `TDBN` of the model one that looks at all processes' samples, in place."""
    for module in model.modules():
        if type(module) is TDBN:
            module.__class__ = SyncTDBN
