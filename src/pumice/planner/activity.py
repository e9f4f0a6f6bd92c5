"""How many synaptic operations each core has in each step: a run on the fast backend, mapped to the cores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.base import checked_input
from pumice.backends.fast.batch import simulate
from pumice.backends.fast.program import Program
from pumice.backends.fast.simulator import Simulator
from pumice.ir import Graph
from pumice.planner.placement import Placement

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Activity:
    """What a run costs on each core.

    Attributes:
        source: What was run.
        operations: Synaptic operations, shape (T, cores): a spike meets every stored weight of its neuron.
        messages: Spikes that arrive, shape (T, cores).
    """

    source: str
    operations: Floats
    messages: Floats

    @property
    def steps(self) -> int:
        """Of the run."""
        return len(self.operations)


def measure(graph: Graph, placement: Placement, x: npt.NDArray[np.integer[Any]], source: str) -> Activity:
    """Run a graph and count.

    A spike counts in the step in which it is sent; on the chip all of them act a step later.

    Args:
        graph: What was placed.
        placement: Where.
        x: Stream, shape (T, *input shape).
        source: What it is, for the plan.

    Raises:
        InputError: The stream does not fit the graph.
    """
    stream = checked_input(graph, x)
    found = _empty(source, len(stream), placement)

    def collect(_: slice, start: int, stop: int, simulator: Simulator) -> None:
        spikes = {name: simulator.sent(name)[:, 0].reshape(-1, *graph.shape_of(name)) != 0 for name in graph.names}
        _add(found, placement, spikes, slice(start, stop))

    simulate(Program(graph), stream[None], collect, threads=1)
    return found


def all_fire(graph: Graph, placement: Placement) -> Activity:
    """A step in which the input has no zero and every neuron fires: other rates cost their share of it."""
    found = _empty("every neuron fires", 1, placement)
    names = graph.names
    _add(found, placement, {name: np.ones((1, *graph.shape_of(name)), bool) for name in names}, slice(0, 1))
    return found


def _empty(source: str, steps: int, placement: Placement) -> Activity:
    per_core = (steps, placement.cores)
    return Activity(source, np.zeros(per_core), np.zeros(per_core))


def _add(
    found: Activity,
    placement: Placement,
    spikes: dict[str, npt.NDArray[np.bool_]],
    steps: slice,
) -> None:
    repeats = {placed.name: placed.repeats for placed in placement.layers if placed.repeats is not None}
    for placed in placement.layers:
        cores = slice(placed.first_core, placed.first_core + placed.cores)
        for incoming in placed.layer.incoming:
            s = incoming.synapse
            sent = spikes[repeats.get(s.source, s.source)]
            traffic = s.traffic(sent, placed.split.blocks.channels(s.target_channels))
            found.operations[steps, cores] += traffic.operations
            found.messages[steps, cores] += traffic.messages
