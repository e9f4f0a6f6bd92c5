"""The reference backend: a loop over time steps."""

from __future__ import annotations

from itertools import chain

import numpy as np
import numpy.typing as npt

from pumice.backends.base import AbstractBackend, Record, RunResult
from pumice.backends.reference.neurons import Neurons
from pumice.backends.reference.synapses import DelayLine
from pumice.ir import Graph

Int32Array = npt.NDArray[np.int32]


class ReferenceBackend(AbstractBackend):
    """Runs a graph with `pumice.fixedpoint`; every other backend is compared with this one.

    Example:
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 2], seed=0)
        >>> ReferenceBackend().run(graph, np.ones((5, 4), int)).spikes.shape
        (5, 2)
    """

    name = "reference"

    def _run(self, graph: Graph, x: Int32Array, record: bool) -> RunResult:
        cells = {p.name: Neurons(p) for p in graph.populations}
        into = {p.name: [DelayLine(graph, s) for s in graph.into(p.name)] for p in graph.populations}
        n_steps = len(x)
        sent_traces = {p.name: np.zeros((n_steps, *p.shape), np.int32) for p in graph.populations}
        state_traces = {
            p.name: {state: np.zeros((n_steps, *p.shape), np.int32) for state in p.states}
            for p in graph.populations
            if record
        }
        for step in range(n_steps):
            sent: dict[str, Int32Array] = {graph.input.name: x[step]}
            for population in graph.populations:
                activation = {part: np.zeros(population.shape, np.int32) for part in population.parts}
                for line in into[population.name]:
                    activation[line.synapse.part] = activation[line.synapse.part] + line.arriving(x[step])
                sent[population.name] = cells[population.name].step(step + 1, activation)
            for line in chain.from_iterable(into.values()):
                line.advance(sent[line.synapse.source])
            for name, trace in sent_traces.items():
                trace[step] = sent[name]
            for name, states in state_traces.items():
                for state, trace in states.items():
                    trace[step] = cells[name].states[state]
        return RunResult(
            outputs={name: sent_traces[name] for name in graph.outputs},
            records={name: Record(sent_traces[name], states) for name, states in state_traces.items()},
        )
