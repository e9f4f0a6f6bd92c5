"""The Lava backend: a graph between a source and recorders, run in a supervised process."""

from __future__ import annotations

import mmap
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.base import AbstractBackend, Record, RunResult
from pumice.backends.lava.execute import execute
from pumice.backends.lava.processes.graph_process import GraphProcess
from pumice.backends.lava.processes.stream import Source, SpikeRecorder, StateRecorder
from pumice.backends.lava.supervise import supervise
from pumice.backends.lava.synapses import needs_binary_input
from pumice.errors import BackendError
from pumice.ir import Graph

Int32Array = npt.NDArray[np.int32]


class LavaBackend(AbstractBackend):
    """Runs a graph on Lava's bit-accurate CPU models (``Loihi2SimCfg(select_tag="fixed_pt")``).

    Each run is a process of its own, with all of Lava's processes below it. Whatever happens there (a model that
    raises, one that never answers, Ctrl-C here), `run` ends and none of them survives it.

    Args:
        stall_timeout_s: Give up when no time step was completed for so long; building counts as one step.

    Example:
        ::

            LavaBackend(stall_timeout_s=600).run(graph, x, record=True)
    """

    name = "lava"

    def __init__(self, stall_timeout_s: float = 120.0) -> None:
        self._stall_timeout_s = stall_timeout_s

    def _run(self, graph: Graph, x: Int32Array, record: bool) -> RunResult:
        if needs_binary_input(graph) and not np.isin(x, (0, 1)).all():
            raise BackendError(
                f"the direct input {graph.input.name!r} is not graded, so its values must be 0 or 1 on Lava, "
                f"got {x.min()}..{x.max()}; make the synapse graded, or the input binary"
            )
        # What this input really holds decides whether sums can overflow.
        graph = graph.replace(input=replace(graph.input, value_range=(int(x.min()), int(x.max()))))
        n_steps = len(x)
        steps_done = _shared((1,), np.int64)
        spikes = {name: _shared((n_steps, *graph.population(name).shape), np.int32) for name in graph.outputs}
        traces = {p.name: _shared((3, n_steps, *p.shape), np.int32) for p in graph.populations if record}

        def work() -> None:
            execute(_network(graph, x, spikes, traces, steps_done), n_steps)

        supervise(work, steps_done, self._stall_timeout_s)
        return RunResult(
            outputs={name: array.copy() for name, array in spikes.items()},
            records={name: Record(s, {"u": u, "v": v}) for name, (s, u, v) in traces.items()},
        )


def _network(
    graph: Graph,
    x: Int32Array,
    spikes: dict[str, Int32Array],
    traces: dict[str, Int32Array],
    steps_done: npt.NDArray[np.int64],
) -> GraphProcess:
    process = GraphProcess(graph)
    Source(x).s_out.connect(process.inp)
    for name, array in spikes.items():
        port = process.out if name == graph.output.name else process.populations[name].s_out
        port.connect(SpikeRecorder(array, steps_done).s_in)
    for name, trace in traces.items():
        population = process.populations[name]
        population.s_out.connect(StateRecorder(trace, population.u, population.v).s_in)
    return process


def _shared(shape: tuple[int, ...], dtype: type[np.integer[Any]]) -> npt.NDArray[Any]:
    """Zeros in memory that forked processes share; it is freed with the last reference."""
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(mmap.mmap(-1, n_bytes), dtype=dtype).reshape(shape)
