"""What an evaluation keeps of a batch of samples: counts of events, and the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pumice.ir import Graph, Timing, latencies

Int32Array: TypeAlias = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Wanted:
    """What of a run of samples is kept.

    Attributes:
        counted: For the input and each population, the steps in which its events are counted.
        answer: Steps of the first output that are kept.
        state: One of its states that is kept, too.
    """

    counted: Mapping[str, range]
    answer: range
    state: str | None = None

    @classmethod
    def of(cls, graph: Graph, timing: Timing, state: str | None = None) -> Wanted:
        """Of each sample its period, later by each population's latency; of the output its own steps.

        Example:
            >>> from pumice.ir.builder import chain
            >>> Wanted.of(chain((4,), [3], seed=0), Timing(sample_steps=5, period_steps=8)).counted
            {'input': range(0, 8), 'dense0': range(1, 9)}
        """
        lag = latencies(graph)
        counted = {}
        for name in graph.names:
            first = timing.lead_steps + lag.get(name, 0)
            counted[name] = range(first, first + timing.period_steps)
        first = timing.lead_steps + lag[graph.outputs[0]]
        return cls(counted, range(first, first + timing.sample_steps), state)

    @property
    def n_steps(self) -> int:
        """Steps that have to be run."""
        return max(steps.stop for steps in self.counted.values())


@dataclass(frozen=True, eq=False)
class Counted:
    """What was kept.

    Attributes:
        events: For the input and each population, how often each neuron sent something, (n, size).
        sent: What the first output sent, (n, steps, size).
        held: The state, likewise, if one is kept.
    """

    events: Mapping[str, Int32Array]
    sent: Int32Array
    held: Int32Array | None = None

    @classmethod
    def none(cls, graph: Graph, wanted: Wanted, n: int) -> Counted:
        """Nothing yet, of n samples."""
        sizes = {graph.input.name: graph.input.size} | {p.name: p.size for p in graph.populations}
        sent = np.zeros((n, len(wanted.answer), graph.output.size), np.int32)
        events = {name: np.zeros((n, size), np.int32) for name, size in sizes.items()}
        return cls(events, sent, None if wanted.state is None else np.zeros_like(sent))


Counter: TypeAlias = Callable[[Int32Array], Counted]
"""Takes samples (n, `Wanted.n_steps`, *input shape), each run from rest."""


def common(steps: range, start: int, stop: int) -> tuple[slice, slice]:
    """Which of `steps` lie in the steps start to stop - 1: as places in that chunk, and among `steps`.

    Example:
        >>> common(range(3, 7), 5, 10), common(range(3, 7), 8, 10)
        ((slice(0, 2, None), slice(2, 4, None)), (slice(0, 0, None), slice(0, 0, None)))
    """
    low, high = max(steps.start, start), min(steps.stop, stop)
    if low >= high:
        return slice(0, 0), slice(0, 0)
    return slice(low - start, high - start), slice(low - steps.start, high - steps.start)
