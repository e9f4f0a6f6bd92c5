"""Spikes of a network's blocks while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pumice.nn.neurons.sigma_delta import SigmaDeltaNeuron
from pumice.nn.padding import end_to_end
from pumice.nn.recompute import is_recomputing


class FiringRates:
    """Mean output of each spiking block over all calls since it was made.

    Attributes:
        latest: What each block gave in its last call, with gradient, where that is kept. Of samples of unequal
            length, the own steps of all one behind the other, as one sample: what is padded is not there.
        lengths: Steps of each sample of the batch that count; None where all do.
    """

    def __init__(self, *, keeps_latest: bool = True) -> None:
        self._keeps_latest = keeps_latest
        self.lengths: torch.Tensor | None = None
        self._sums: dict[str, float | torch.Tensor] = {}
        self._sizes: dict[str, int] = {}
        self.latest: dict[str, torch.Tensor] = {}

    def add(self, name: str, spikes: torch.Tensor, *, are_changes: bool = False) -> None:
        """Count one call's spikes; of changes, those that were sent, and of them the size has a gradient."""
        if is_recomputing():
            return
        spikes = end_to_end(spikes, self.lengths)
        if self._keeps_latest:
            self.latest[name] = spikes.abs() if are_changes else spikes
        counted = spikes.detach() != 0 if are_changes else spikes.detach()
        self._sums[name] = self._sums.get(name, 0.0) + _total(counted)
        self._sizes[name] = self._sizes.get(name, 0) + spikes.numel()

    def rates(self) -> dict[str, float]:
        """Spikes per neuron and step, by block, in the order of their first call."""
        return {name: float(total) / self._sizes[name] for name, total in self._sums.items()}

    def take(self) -> dict[str, tuple[float | torch.Tensor, int]]:
        """Spikes (on a GPU still there) and size of each block since the last `take`, which are then forgotten."""
        taken = {name: (total, self._sizes[name]) for name, total in self._sums.items()}
        self._sums, self._sizes, self.latest = {}, {}, {}
        return taken


def _total(spikes: torch.Tensor) -> float | torch.Tensor:
    """The sum of the spikes; a GPU is not waited for."""
    return spikes.sum(dtype=torch.float64) if spikes.is_cuda else float(spikes.float().sum())


@contextmanager
def watch_firing(model: torch.nn.Module, *, keeps_latest: bool = True) -> Iterator[FiringRates]:
    """Count the spikes of every block with neurons until the context ends; of sigma-delta neurons, the changes.

    Args:
        model: The network.
        keeps_latest: Whether `FiringRates.latest` is wanted: the spikes of all blocks stay in memory for it.

    Example:
        >>> from pumice import nn
        >>> block = nn.Dense({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}, 3, 2)
        >>> with watch_firing(torch.nn.Sequential(block)) as firing:
        ...     _ = block(torch.zeros(1, 3, 5))
        >>> firing.rates()
        {'0': 0.0}
    """
    firing = FiringRates(keeps_latest=keeps_latest)

    def hook(name: str) -> Any:
        return lambda module, _args, output: firing.add(
            name, output, are_changes=isinstance(module.neuron, SigmaDeltaNeuron)
        )

    handles = [
        module.register_forward_hook(hook(name))
        for name, module in model.named_modules()
        if getattr(module, "neuron", None) is not None and getattr(module.neuron, "sends_changes", True)
    ]
    try:
        yield firing
    finally:
        for handle in handles:
            handle.remove()
