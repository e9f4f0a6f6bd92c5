"""Batch normalisation over the whole batch when several processes share it."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed

from pumice.errors import InputError
from pumice.nn import TDBN, BiasFreeNorm
from pumice.nn.norms.normalize import deviation
from pumice.nn.norms.tdbn import at_least_float32


class SyncTDBN(TDBN):
    """`TDBN` whose mean and variance are those of all processes' samples together.

    So the result is that of one process with the whole batch, up to rounding, and the running estimates are
    the same everywhere.
    """

    folds = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise by the global batch in training, by the running estimates otherwise."""
        if not (self.training and _is_shared()):
            return super().forward(x)
        x = at_least_float32(x)
        shape, size = (1, -1, *[1] * (x.ndim - 2)), _global_size(x)
        mean = _global_sum(x) / size
        squares = _global_sum((x - mean.view(shape)).square())
        var, with_n_minus_1 = squares / size, squares / (size - 1).clamp(min=1)
        self._remember(mean, with_n_minus_1)
        gain = self.scale * (self.alpha * self._threshold())
        gain = gain / deviation((with_n_minus_1 if self.unbiased else var) + self.eps)
        return (x - mean.view(shape)) * gain.view(shape) + self.shift.view(shape)


class SyncBiasFreeNorm(BiasFreeNorm):
    """`BiasFreeNorm` whose mean square is that of all processes' samples together."""

    folds = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise by the global batch in training, by the running estimate otherwise."""
        if not (self.training and _is_shared()):
            return super().forward(x)
        x = at_least_float32(x)
        square = _global_sum(x.square()) / _global_size(x)
        self._remember(None, square)
        gain = self.scale * (self.alpha * self._threshold()) / deviation(square + self.eps)
        return x * gain.view(1, -1, *[1] * (x.ndim - 2))


_SYNCHRONISED: dict[type, type[TDBN]] = {TDBN: SyncTDBN, BiasFreeNorm: SyncBiasFreeNorm}


def synchronise_norms(model: torch.nn.Module) -> None:
    """Make every norm of the model one that looks at all processes' samples, in place.

    The result is then that of one process with the whole batch, up to rounding. `train` does so where a recipe has
    several devices (DDP); a training loop of one's own calls this before it wraps the model.

    Args:
        model: Its `TDBN` and `BiasFreeNorm` change their class; their parameters stay the same objects.

    Raises:
        InputError: There is a norm of the user's own, of which nobody knows how.

    Example:
        >>> model = torch.nn.Sequential(TDBN(2, threshold=1.0))
        >>> synchronise_norms(model)
        >>> type(model[0]).__name__
        'SyncTDBN'
    """
    for name, module in model.named_modules():
        if not isinstance(module, TDBN) or type(module) in _SYNCHRONISED.values():
            continue
        if type(module) not in _SYNCHRONISED:
            raise InputError(
                f"the norm {name!r} is a {type(module).__name__}: several processes share a batch, and only the "
                "statistics of TDBN and BiasFreeNorm can be brought together; use these, or one process"
            )
        module.__class__ = _SYNCHRONISED[type(module)]


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


def _is_shared() -> bool:
    """Whether other processes have a share of the batch."""
    return distributed.is_initialized() and distributed.get_world_size() > 1


def _global_sum(x: torch.Tensor) -> torch.Tensor:
    """Sum per channel over all processes' samples, positions and steps."""
    total: torch.Tensor = _SumOverProcesses.apply(x.sum([d for d in range(x.ndim) if d != 1]))
    return total


def _global_size(x: torch.Tensor) -> torch.Tensor:
    """How many numbers each channel has in all processes."""
    size = torch.tensor([x.numel() / x.shape[1]], dtype=x.dtype, device=x.device)
    distributed.all_reduce(size)
    return size
