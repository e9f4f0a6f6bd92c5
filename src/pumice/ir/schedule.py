"""When things happen: the latency of each population and the staggered resets that follow from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pumice.errors import GraphError
from pumice.ir.populations import Population
from pumice.ir.reset import Reset

if TYPE_CHECKING:
    from pumice.ir.graph import Graph


def latencies(graph: Graph) -> dict[str, int]:
    """Steps from the network's input to each population: one per synapse and its balance, none for a direct input.

    Recurrent synapses (from the population itself, or from one that comes later in the graph's order) and trained
    delays do not count: they are part of what the network computes. Clocks (`is_autonomous`) have none, and senders
    of biases (`begins_with_input`) that of the input, 0.

    Raises:
        GraphError: A population is reached by paths of different latency, or by none.

    Example:
        >>> from pumice.ir.builder import chain
        >>> latencies(chain((4,), [3, 2], seed=0))
        {'input': 0, 'dense0': 1, 'dense1': 2}
    """
    found = {graph.input.name: 0, **{p.name: 0 for p in graph.populations if begins_with_input(graph, p)}}
    alone = {p.name for p in graph.populations if is_autonomous(graph, p)}
    for population in graph.populations:
        if population.name in alone or population.name in found:
            continue
        arrivals = {}
        for synapse in graph.into(population.name):
            if not synapse.is_recurrent and synapse.source in found:
                arrivals[synapse.source] = found[synapse.source] + synapse.latency_steps
        if not arrivals:
            raise GraphError(f"population {population.name!r}: no path from the input reaches it")
        if len(set(arrivals.values())) > 1:
            listed = ", ".join(f"{source}: {steps}" for source, steps in arrivals.items())
            raise GraphError(
                f"population {population.name!r}: its sources arrive at different steps ({listed}); "
                "delay the shorter paths until all arrive together"
            )
        found[population.name] = next(iter(arrivals.values()))
    return found


def is_autonomous(graph: Graph, population: Population) -> bool:
    """Whether a population has no synapses into it and runs on its bias alone: a clock, which has no latency."""
    return bool(np.any(getattr(population, "bias_mant", 0))) and not any(graph.into(population.name))


def begins_with_input(graph: Graph, population: Population) -> bool:
    """Whether a population sends its bias in the first step, when the input's first value leaves, and then nothing.

    Sigma-delta neurons without synapses into them: the change from nothing to the bias is all they ever send.
    """
    return bool(np.any(getattr(population, "bias", 0))) and not any(graph.into(population.name))


def remembers(graph: Graph) -> bool:
    """Whether samples that follow each other in a stream depend on each other; then each is a run of its own.

    Sigma-delta neurons and resonators have no reset in Lava. Streams without end are what they are for.

    Example:
        >>> from pumice.ir.builder import chain
        >>> remembers(chain((4,), [3, 2], seed=0))
        False
    """
    return any(p.remembers and not begins_with_input(graph, p) for p in graph.populations)


def with_reset_schedule(graph: Graph, interval: int, offset: int = 0) -> Graph:
    """Reset every population once per `interval`, each one step after its source, as stock NetX does.

    A population of latency n is reset in the steps t with t % interval == (offset + n) % interval. So with
    offset 1 each is reset exactly when a sample's first input reaches it; stock netx's `reset_offset` for a
    chain without an input layer is the same number, with an input layer it is one less. Clocks, which have no
    latency, are left as they are.

    Args:
        graph: Any graph; its own schedule is replaced.
        interval: Steps between resets.
        offset: Phase of the network's input.

    Raises:
        GraphError: There is no such interval or offset, or a population has no one latency.
    """
    if interval < 1 or offset < 0:
        raise GraphError(f"reset interval must be >= 1 and offset >= 0, got interval {interval}, offset {offset}")
    steps = latencies(graph)
    return graph.replace(
        populations=tuple(
            _with_reset(p, Reset(interval, (offset + steps[p.name]) % interval)) if p.name in steps else p
            for p in graph.populations
        )
    )


def without_resets(graph: Graph) -> Graph:
    """The same graph, never reset."""
    return graph.replace(populations=tuple(_with_reset(p, None) for p in graph.populations))


def _with_reset(population: Population, reset: Reset | None) -> Population:
    """Kinds that cannot be reset (sigma-delta, resonators) stay as they are, as in stock netx."""
    return replace(population, reset=reset) if population.can_reset else population
