"""Counts of a batch of samples, chunk by chunk as they are simulated."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from pumice.backends.counting import Counted, Wanted, common
from pumice.backends.fast.batch import compile_loops, simulate
from pumice.backends.fast.kernels.events import count_active
from pumice.backends.fast.program import Program
from pumice.backends.fast.simulator import Simulator
from pumice.backends.needed import needed_steps
from pumice.ir import Graph


class FastCounter:
    """A prepared graph, its loops compiled; called with samples.

    Args:
        graph: The graph.
        wanted: What is kept.
        threads: See `FastBackend`.
    """

    def __init__(self, graph: Graph, wanted: Wanted, threads: int | None) -> None:
        self._graph, self._wanted, self._threads = graph, wanted, threads
        self._program, self._steps = Program(graph), needed_steps(graph, wanted)
        compile_loops(self._program, record=wanted.state is not None)

    def __call__(self, x: npt.NDArray[Any]) -> Counted:
        """Run samples (n, steps, *input shape), each from rest."""
        wanted, output = self._wanted, self._graph.outputs[0]
        found = Counted.none(self._graph, wanted, len(x))

        def collect(samples: slice, start: int, stop: int, simulator: Simulator) -> None:
            for name, counts in found.events.items():
                count_active(simulator.sent(name)[common(wanted.counted[name], start, stop)[0]], counts[samples])
            now, at = common(wanted.answer, start, stop)
            found.sent[samples, at] = simulator.sent(output)[now].swapaxes(0, 1)
            if found.held is not None and wanted.state is not None:
                found.held[samples, at] = simulator.states(output)[wanted.state][now].swapaxes(0, 1)

        options: dict[str, Any] = {"threads": self._threads, "steps": self._steps}
        simulate(self._program, x, collect, record=wanted.state is not None, **options)
        return found
