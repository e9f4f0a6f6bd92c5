"""The network of processes: a source, adapters, the graph, adapters, recorders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pumice.backends.lava.memory import shared_array
from pumice.backends.lava.processes.graph_process import GraphProcess
from pumice.backends.lava.processes.stream import Source, record_spikes
from pumice.backends.loihi2.adapters import AbstractAdapters
from pumice.ir import Accumulator, Graph, Population

Int32Array = npt.NDArray[np.int32]

SENT = ""
"""Stands among a population's states for what leaves it."""


@dataclass
class Recordings:
    """Shared memory for what comes back.

    Attributes:
        arrays: By population and state (`SENT`: what leaves it), (steps, *shape).
        steps_done: Steps of which something came back.
    """

    arrays: dict[tuple[str, str], Int32Array]
    steps_done: npt.NDArray[np.int64] = field(default_factory=lambda: shared_array((1,), np.int64))


def recordings(graph: Graph, n_steps: int, record: bool) -> Recordings:
    """Room for the outputs, or for everything."""
    wanted = {p.name: _wanted(p, record) for p in graph.populations if record or p.name in graph.outputs}
    return Recordings(
        {
            (name, state): shared_array((n_steps, *graph.population(name).shape), np.int32)
            for name, states in wanted.items()
            for state in states
        }
    )


def reads_states(found: Mapping[tuple[str, str], Int32Array]) -> bool:
    """Whether anything but spikes comes back."""
    return any(state != SENT for _, state in found)


def build(graph: Graph, x: Int32Array, adapters: AbstractAdapters, to: Recordings) -> GraphProcess:
    """Build and wire all processes.

    Args:
        graph: As it stands on the chip.
        x: The stream, (steps, *input shape).
        adapters: Make what is between host and chip.
        to: Where the recorders write.

    Returns:
        The graph's process, to which all others are connected.
    """
    process = GraphProcess(graph)
    source, entry = Source(x), adapters.input(graph, x)
    source.s_out.connect(entry.inp)
    entry.out.connect(process.inp)
    recorded = []
    for (name, state), array in to.arrays.items():
        population, neurons = graph.population(name), process.populations[name]
        if state == SENT:
            reader = adapters.spikes(population)
            neurons.s_out.connect(reader.inp)
        else:
            reader = adapters.state(graph, population, getattr(neurons, state))
        recorded.append((reader.out, array))
    record_spikes(recorded, to.steps_done)
    return process


def _wanted(p: Population, record: bool) -> tuple[str, ...]:
    if isinstance(p, Accumulator):  # sends nothing
        return p.states if record else ("v",)
    return (SENT, *p.states) if record else (SENT,)
