"""Counts of a batch of samples on the device: only sums come back from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pumice.backends.counting import Counted, Wanted, common
from pumice.ir import Graph


class DeviceCounts:
    """What is kept of a group of samples, taken chunk by chunk.

    Args:
        graph: The graph.
        wanted: What is kept.
        n: Samples.
        device: Where they run.
    """

    def __init__(self, graph: Graph, wanted: Wanted, n: int, device: torch.device) -> None:
        self._wanted, self._output = wanted, graph.outputs[0]
        self._found = Counted.none(graph, wanted, n)
        self._events = {
            name: torch.zeros(counts.shape, dtype=torch.int32, device=device)
            for name, counts in self._found.events.items()
        }

    def events(self, name: str, start: int, values: torch.Tensor) -> None:
        """Take what a population, or the input, sent from step `start` on, (steps, n, *shape)."""
        now, _ = common(self._wanted.counted[name], start, start + len(values))
        self._events[name] += torch.count_nonzero(values[now].flatten(2), dim=0).to(torch.int32)
        if name == self._output:
            self._keep(self._found.sent, start, values)

    def state(self, name: str, state: str, start: int, values: torch.Tensor) -> None:
        """Take a state, likewise."""
        if self._found.held is not None and (name, state) == (self._output, self._wanted.state):
            self._keep(self._found.held, start, values)

    def _keep(self, into: npt.NDArray[Any], start: int, values: torch.Tensor) -> None:
        now, at = common(self._wanted.answer, start, start + len(values))
        into[:, at] = values[now].flatten(2).numpy(force=True).swapaxes(0, 1)

    def done(self) -> Counted:
        """All of it."""
        for name, counts in self._events.items():
            np.copyto(self._found.events[name], counts.numpy(force=True))
        return self._found
