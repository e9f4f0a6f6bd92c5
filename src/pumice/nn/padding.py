"""Samples of unequal length in one batch: which steps are a sample's own, and sums and means over these alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pumice.nn.precision import type_of_sum


class ReadsPadding:
    """Of a module whose result, or gradient, mixes the steps of a batch, so that it has to know which of them count.

    Attributes:
        own_steps: Which steps are each sample's own, shape (batch, time); None where all are. `padded_` sets it.
    """

    own_steps: torch.Tensor | None = None
    _next_step = 0  # of a recurrent layer, which hands its steps on one by one

    def own_steps_of(self, x: torch.Tensor) -> torch.Tensor | None:
        """`own_steps` as a mask that multiplies x (batch, ..., time); None where x has other steps, or all count.

        Where x is one step of several, it is taken for the one behind that of the last call.
        """
        own = self.own_steps
        if own is None or len(own) != len(x):
            return None
        if x.shape[-1] == 1 < own.shape[1]:
            step, self._next_step = self._next_step, (self._next_step + 1) % own.shape[1]
            own = own[:, step : step + 1]
        return spread(own, x) if own.shape[1] == x.shape[-1] else None


@contextmanager
def padded_(model: torch.nn.Module, lengths: torch.Tensor | None, steps: int) -> Iterator[None]:
    """Until the context ends, steps behind a sample's end count in no statistics of `TDBN` and its like.

    Args:
        model: Its modules that are `ReadsPadding` are told.
        lengths: Steps of each sample that count, shape (batch,); None where all do.
        steps: Steps of the padded batch.

    Example:
        >>> from pumice import nn
        >>> norm, x = nn.TDBN(1, threshold=1.0, momentum=1.0), torch.tensor([[[1.0, 3.0, 0.0]], [[2.0, 2.0, 2.0]]])
        >>> with padded_(norm, torch.tensor([2, 3]), steps=3):
        ...     _ = norm(x)
        >>> norm.running_mean.tolist()  # of five numbers
        [2.0]
    """
    if lengths is None:
        yield
        return
    modules = [module for module in model.modules() if isinstance(module, ReadsPadding)]
    try:
        for module in modules:
            module.own_steps, module._next_step = own_steps(lengths, steps), 0
        yield
    finally:
        for module in modules:
            module.own_steps = None


def own_steps(lengths: torch.Tensor, steps: int) -> torch.Tensor:
    """Which steps are each sample's own, shape (batch, time).

    Example:
        >>> own_steps(torch.tensor([1, 3]), 3).tolist()
        [[True, False, False], [True, True, True]]
    """
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def spread(own: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A mask (batch, time) with as many axes as x (batch, ..., time)."""
    return own.reshape(len(own), *[1] * (x.ndim - 2), own.shape[1])


def without_padding(x: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
    """X (batch, ..., time), with zeros behind each sample's end whatever is there.

    Example:
        >>> without_padding(torch.ones(1, 1, 3), torch.tensor([2])).tolist()
        [[[1.0, 1.0, 0.0]]]
    """
    return x if lengths is None else x.masked_fill(~spread(own_steps(lengths, x.shape[-1]), x), 0)


def sum_over_steps(x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
    """Sum of x (batch, ..., time) over each sample's own steps, shape (batch, ...); of half precision in float32.

    Example:
        >>> sum_over_steps(torch.ones(1, 1, 257, dtype=torch.bfloat16)).item()  # which bfloat16 does not hold
        257.0
    """
    return without_padding(x, lengths).sum(-1, dtype=type_of_sum(x))


def mean_over_steps(x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
    """Mean of x (batch, ..., time) over each sample's own steps, shape (batch, ...); of half precision in float32.

    Example:
        >>> mean_over_steps(torch.tensor([[[1.0, 0.0, 9.0]]]), torch.tensor([2])).tolist()
        [[0.5]]
    """
    if lengths is None:
        return x.mean(-1, dtype=type_of_sum(x))
    sums = sum_over_steps(x, lengths)
    return sums / lengths.to(sums.dtype).reshape(-1, *[1] * (x.ndim - 2))


def end_to_end(x: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
    """The own steps of all samples one behind the other, as one sample: x (batch, ..., time) -> (1, ..., sum of n).

    Example:
        >>> end_to_end(torch.tensor([[[1, 2, 0]], [[3, 0, 0]]]), torch.tensor([2, 1])).tolist()
        [[[1, 2, 3]]]
    """
    if lengths is None:
        return x
    return x.movedim(-1, 1)[own_steps(lengths, x.shape[-1])].movedim(0, -1)[None]
