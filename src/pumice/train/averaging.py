"""An exponential moving average of a network's weights, which is tested and kept in their place."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pumice.errors import InputError
from pumice.train.finite import statistics


class WeightAverage:
    r"""Follows a network's parameters and statistics.

    .. math:: \bar w_n = d_n \, \bar w_{n-1} + (1 - d_n) \, w_n, \qquad d_n = \min\bigl(d, \tfrac{1 + n}{10 + n}\bigr)

    after step n of the optimiser, n = 1, 2, ... within a phase; the smaller d_n of the first steps lets the first
    weights be forgotten where training is short (as TensorFlow's `ExponentialMovingAverage` has it).

    Polyak, Juditsky: Acceleration of Stochastic Approximation by Averaging, 1992; Tarvainen, Valpola: Mean Teachers,
    NeurIPS 2017. `torch.optim.swa_utils.AveragedModel` keeps a second network; here the averages take the place of
    the weights for a while, in the same tensors, so that hooks, CUDA graphs and wrappers of the network hold.

    Args:
        model: The network; its averages begin as its weights.
        decay: d, above 0 and below 1.
        steps: n so far.

    Example:
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = model.weight.data.fill_(0.0)
        >>> average = WeightAverage(model, 0.5)
        >>> _ = model.weight.data.fill_(1.0)
        >>> average.update()
        >>> with average.in_place():
        ...     round(model.weight.item(), 6), average.steps  # d_1 = 2 / 11
        (0.818182, 1)
        >>> model.weight.item()
        1.0
    """

    def __init__(self, model: torch.nn.Module, decay: float, steps: int = 0) -> None:
        self.decay, self.steps = decay, steps
        self._model = model
        self._parameters = list(model.named_parameters())
        self._statistics = statistics(model)
        self._averages = {name: tensor.clone() for name, tensor in self._current().items()}

    def _current(self) -> dict[str, torch.Tensor]:
        """What is averaged, as it is now: a statistic may be another tensor than before."""
        buffers = [(name, getattr(module, key)) for name, module, key in self._statistics]
        return {name: tensor.detach() for name, tensor in (*self._parameters, *buffers)}

    @torch.no_grad()
    def update(self) -> None:
        """Follow a step of the optimiser; nothing is waited for.

        Raises:
            InputError: A statistic has another shape than before.
        """
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        current = self._current()
        for name, average in self._averages.items():
            if average.shape != current[name].shape:
                raise InputError(
                    f"training.ema: the buffer {name!r} of the network changes its shape, from {tuple(average.shape)}"
                    f" to {tuple(current[name].shape)}, and has no average; register it with persistent=False, or "
                    "leave training.ema out"
                )
        torch._foreach_lerp_(list(self._averages.values()), list(current.values()), 1 - decay)

    def to(self, device: torch.device) -> None:
        """Move to where the network is."""
        self._averages = {name: tensor.to(device) for name, tensor in self._averages.items()}

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Until the context ends, the network has the averages as its weights."""
        kept = {name: tensor.clone() for name, tensor in self._current().items()}
        self._set(self._averages)
        try:
            yield
        finally:
            self._set(kept)

    @torch.no_grad()
    def _set(self, values: dict[str, torch.Tensor]) -> None:
        for name, tensor in self._current().items():
            tensor.copy_(values[name])

    def state_dict(self) -> dict[str, Any]:
        """A copy of the network's `state_dict`, with averages."""
        with self.in_place():
            return copy.deepcopy(self._model.state_dict())
