"""The Lava backend: a graph between a source and recorders, run in a supervised process."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.process import AbstractProcess

from pumice.backends.base import AbstractBackend, Record, RunResult
from pumice.backends.lava.compiling import Models, import_convolutions, known_models, remember_models
from pumice.backends.lava.delays import split_weights_once
from pumice.backends.lava.execute import execute
from pumice.backends.lava.footprint import arrays_bytes, processes_bytes
from pumice.backends.lava.memory import shared_array
from pumice.backends.lava.one_process import OneProcessCfg
from pumice.backends.lava.processes.graph_process import GraphProcess
from pumice.backends.lava.processes.stream import Source, StateRecorder, record_spikes
from pumice.backends.lava.supervise import Stall, check_seconds, supervise
from pumice.backends.lava.synapses import needs_binary_input
from pumice.backends.lava.threads import execute_in_threads
from pumice.errors import BackendError, InputError
from pumice.files.limits import check_memory
from pumice.ir import Accumulator, Conv, Graph, Population
from pumice.names import counted

Int32Array = npt.NDArray[np.int32]


class LavaBackend(AbstractBackend):
    """Runs a graph on Lava's bit-accurate CPU models (``Loihi2SimCfg(select_tag="fixed_pt")``).

    Each run is a process of its own, with all of Lava's processes below it. Whatever happens there (a model that
    raises, one that never answers, Ctrl-C here), `run` ends and none of them survives it.

    Args:
        stall_timeout_s: Give up when no time step was completed for so long; building counts as one step.
        one_process: Run the graph in one Lava process, with the kernels of the fast backend; see `OneProcessCfg`.
        in_threads: Run Lava's models in threads of one process instead of under Lava's runtime, which starts a
            process for each: the same models with the same messages, faster for many small populations.

    Raises:
        InputError: `one_process` and `in_threads` are both asked for, or `stall_timeout_s` is no time.

    Example:
        ::

            LavaBackend(stall_timeout_s=600).run(graph, x, record=True)
    """

    name = "lava"

    def __init__(
        self, stall_timeout_s: float = 120.0, *, one_process: bool = False, in_threads: bool = False
    ) -> None:
        if one_process and in_threads:
            raise InputError("LavaBackend: one_process and in_threads are two ways to run a graph; choose one")
        check_seconds("LavaBackend: stall_timeout_s", stall_timeout_s)
        self._stall_timeout_s = stall_timeout_s
        self._one_process = one_process
        self._in_threads = in_threads

    def _run(self, graph: Graph, x: Int32Array, record: bool) -> RunResult:
        if needs_binary_input(graph) and not np.isin(x, (0, 1)).all():
            raise BackendError(
                f"the direct input {graph.input.name!r} is not graded, so its values must be 0 or 1 on Lava, "
                f"got {x.min()}..{x.max()}; make the synapse graded, or the input binary"
            )
        # What this input really holds decides whether sums can overflow.
        graph = graph.replace(input=replace(graph.input, value_range=(int(x.min()), int(x.max()))))
        n_steps = len(x)
        traced = {
            p.name: (1 + len(p.states), n_steps, *p.shape)
            for p in graph.populations
            if record or (p.name in graph.outputs and isinstance(p, Accumulator))
        }
        recorded = traced | {n: (n_steps, *graph.population(n).shape) for n in graph.outputs if n not in traced}
        n_bytes = arrays_bytes(recorded.values()) + (0 if self._one_process else processes_bytes(graph))
        check_memory(f"a Lava run of {counted(n_steps, 'step')}", n_bytes)
        if any(isinstance(synapse, Conv) for synapse in graph.synapses) and not self._one_process:
            import_convolutions()
        steps_done = shared_array((1,), np.int64)
        arrays = {name: shared_array(shape, np.int32) for name, shape in recorded.items()}
        traces = {name: arrays[name] for name in traced}
        sent = {name: array for name, array in arrays.items() if name not in traced}

        def work() -> Models:
            gc.disable()  # a run of Lava's compiler and models is over before garbage matters
            split_weights_once()
            np.seterr(invalid="raise")  # a convolution's sum that 32 bits do not hold, of values without a bound
            spikes = sent | {name: trace[0] for name, trace in traces.items()}
            if self._one_process:
                process = GraphProcess(graph)
                Source(x).s_out.connect(process.inp)
                record_spikes([(port, spikes[name]) for name, port in process.outs.items()], steps_done)
                execute(process, n_steps, OneProcessCfg(traces, steps_done))
            elif self._in_threads:
                process = _network(graph, x, spikes, {}, steps_done)
                execute_in_threads(process, n_steps, _writers(graph, process, traces))
            else:
                execute(_network(graph, x, sent, traces, steps_done), n_steps)
            return known_models()

        remember_models(supervise(work, Stall(steps_done, self._stall_timeout_s)))
        records = {name: _record(graph.population(name), trace) for name, trace in traces.items()}
        return RunResult(
            outputs={name: records[name].s if name in records else sent[name].copy() for name in graph.outputs},
            records=records if record else {},
        )


class LavaOneProcessBackend(LavaBackend):
    """Runs a graph in one Lava process, with the kernels of the fast backend: `LavaBackend(one_process=True)`.

    It shows that the graph, its steps and its messages are right on Lava, not that Lava's own models compute alike.

    Args:
        stall_timeout_s: Give up when no time step was completed for so long.
    """

    name = "lava-one-process"

    def __init__(self, stall_timeout_s: float = 120.0) -> None:
        super().__init__(stall_timeout_s, one_process=True)


class LavaInThreadsBackend(LavaBackend):
    """Runs Lava's models in threads of one process: `LavaBackend(in_threads=True)`.

    The same compiler, models and messages without Lava's runtime, whose start takes longer than short runs do.

    Args:
        stall_timeout_s: Give up when no time step was completed for so long.
    """

    name = "lava-in-threads"

    def __init__(self, stall_timeout_s: float = 120.0) -> None:
        super().__init__(stall_timeout_s, in_threads=True)


def _record(population: Population, trace: Int32Array) -> Record:
    states = dict(zip(population.states, trace[1:].copy(), strict=True))
    return Record(states["v"] if isinstance(population, Accumulator) else trace[0].copy(), states)


def _network(
    graph: Graph,
    x: Int32Array,
    sent: dict[str, Int32Array],
    traces: dict[str, Int32Array],
    steps_done: npt.NDArray[np.int64],
) -> GraphProcess:
    process = GraphProcess(graph)
    Source(x).s_out.connect(process.inp)
    record_spikes([(process.populations[name].s_out, array) for name, array in sent.items()], steps_done)
    for name, trace in traces.items():
        StateRecorder(trace, process.populations[name], graph.population(name).states, steps_done)
    return process


def _writers(
    graph: Graph, process: GraphProcess, traces: dict[str, Int32Array]
) -> dict[AbstractProcess, Callable[[Any], None]]:
    """For each population, what writes its states after a step, from the model itself."""

    def writer(states: tuple[str, ...], trace: Int32Array) -> Callable[[Any], None]:
        def write(model: Any) -> None:
            for state, values in zip(states, trace[1:], strict=True):
                values[model.time_step - 1] = getattr(model, state)

        return write

    return {process.populations[name]: writer(graph.population(name).states, t) for name, t in traces.items()}
