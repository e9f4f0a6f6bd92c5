"""The fast backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.base import AbstractBackend, Record, RunResult, first_sample
from pumice.backends.counting import Counter, Wanted
from pumice.backends.fast.batch import check_threads, simulate
from pumice.backends.fast.count import FastCounter
from pumice.backends.fast.program import Program
from pumice.backends.fast.simulator import Simulator
from pumice.ir import Graph

Array = npt.NDArray[Any]


class FastBackend(AbstractBackend):
    """Runs a graph with compiled kernels; equal to the reference at every neuron and step.

    Args:
        threads: At most so many, one for each group of samples of a batch; by default one per core.

    Raises:
        InputError: There is no such number of threads.

    Example:
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 2], seed=0)
        >>> FastBackend().run(graph, np.ones((5, 4), int)).spikes.shape
        (5, 2)
    """

    name = "fast"

    def __init__(self, *, threads: int | None = None) -> None:
        check_threads(threads)
        self._threads = threads

    def _run(self, graph: Graph, x: npt.NDArray[np.int32], record: bool) -> RunResult:
        return first_sample(self._run_batch(graph, x[None], record))

    def _run_batch(self, graph: Graph, x: npt.NDArray[np.int32], record: bool) -> RunResult:
        n, n_steps = x.shape[:2]
        kept = graph.populations if record else tuple(graph.population(name) for name in dict.fromkeys(graph.outputs))

        def room(shape: tuple[int, ...]) -> Array:
            return np.zeros((n, n_steps, *shape), np.int32)

        sent = {p.name: room(p.shape) for p in kept}
        states = {p.name: {state: room(p.shape) for state in p.states} for p in kept if record}

        def collect(samples: slice, start: int, stop: int, simulator: Simulator) -> None:
            for name, array in sent.items():
                _put(array, samples, start, stop, simulator.sent(name))
            for name, arrays in states.items():
                for state, trace in simulator.states(name).items():
                    _put(arrays[state], samples, start, stop, trace)

        simulate(Program(graph), x, collect, record=record, threads=self._threads)
        records = {name: Record(sent[name], arrays) for name, arrays in states.items()}
        return RunResult({name: sent[name] for name in graph.outputs}, records)

    def counter(self, graph: Graph, wanted: Wanted) -> Counter:
        """See `AbstractBackend.counter`; nothing is kept but the counts."""
        return FastCounter(graph, wanted, self._threads)


def _put(array: Array, samples: slice, start: int, stop: int, values: Array) -> None:
    """Write what has steps first and samples second."""
    part = array[samples, start:stop]
    part[:] = values.swapaxes(0, 1).reshape(part.shape)
