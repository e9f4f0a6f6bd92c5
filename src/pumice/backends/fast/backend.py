"""The fast backend: compiled kernels, event by event or by whole frames, for one stream or a batch of samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.base import AbstractBackend, Record, RunResult
from pumice.backends.fast.simulator import Program, Simulator
from pumice.ir import Graph

Array = npt.NDArray[Any]


class FastBackend(AbstractBackend):
    """Runs a graph with numba's kernels; equal to the reference at every neuron and step.

    Example:
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 2], seed=0)
        >>> FastBackend().run(graph, np.ones((5, 4), int)).spikes.shape
        (5, 2)
    """

    name = "fast"

    def _run(self, graph: Graph, x: npt.NDArray[np.int32], record: bool) -> RunResult:
        program = Program(graph)
        chunk_steps = min(program.chunk_steps(batch=1), len(x))
        simulator = Simulator(program, batch=1, chunk_steps=chunk_steps)
        if record:
            simulator.record()
        kept = graph.populations if record else tuple(graph.population(name) for name in graph.outputs)
        sent = {p.name: np.zeros((len(x), p.size), np.int32) for p in kept}
        states = {p.name: {s: np.zeros((len(x), p.size), np.int32) for s in p.states} for p in kept if record}
        for start in range(0, len(x), chunk_steps):
            stop = min(start + chunk_steps, len(x))
            simulator.advance(x[start:stop, None])
            for name, trace in sent.items():
                trace[start:stop] = simulator.sent(name)[:, 0]
            for name, traces in states.items():
                for state, values in simulator.states(name).items():
                    traces[state][start:stop] = values[:, 0]
        shaped = {p.name: sent[p.name].reshape(-1, *p.shape) for p in kept}
        records = {
            p.name: Record(shaped[p.name], {s: a.reshape(-1, *p.shape) for s, a in states[p.name].items()})
            for p in kept
            if record
        }
        return RunResult({name: shaped[name] for name in graph.outputs}, records)
