"""Put relay populations into paths that are too long for a synapse's delay."""

from __future__ import annotations

from dataclasses import replace

from pumice.errors import GraphError
from pumice.ir import Cuba, Graph, OneToOne, Population, Synapse
from pumice.ir.verify import MAX_DELAY_STEPS
from pumice.passes.base import PassResult

RELAY_WEIGHT = 2
"""Fires a relay: a neuron without memory, of threshold 1."""


def insert_relays(graph: Graph, *, allowed: bool = True) -> PassResult:
    """Split every synapse whose delays exceed 62 steps into hops over relays, which pass each spike on.

    Preserves every other population's spikes and states at every step: a relay costs one step, which its hops'
    delays make up for.

    Args:
        graph: Balanced.
        allowed: If not, a synapse that needs a relay is an error.

    Returns:
        A graph in which no synapse delays longer than 62 steps. Running the pass again changes nothing.

    Raises:
        GraphError: Relays are needed and forbidden, or the path carries graded values, which they cannot pass on.
    """
    populations: list[Population] = list(graph.populations)
    synapses: list[Synapse] = []
    for synapse in graph.synapses:
        if synapse.max_delay_steps + synapse.balance_steps <= MAX_DELAY_STEPS:
            synapses.append(synapse)
            continue
        _check(synapse, allowed)
        stops, path = _path(synapse, graph.shape_of(synapse.source))
        place = next(i for i, p in enumerate(populations) if p.name == synapse.target)
        populations[place:place] = stops
        synapses += path
    modified = len(populations) != len(graph.populations)
    changed = graph.replace(populations=tuple(populations), synapses=tuple(synapses)) if modified else graph
    return PassResult(changed, modified)


def _check(synapse: Synapse, allowed: bool) -> None:
    needed = synapse.max_delay_steps + synapse.balance_steps
    where = (
        f"synapse {synapse.source} -> {synapse.target}: it needs a delay of {needed}, allowed are {MAX_DELAY_STEPS}"
    )
    if not allowed:
        raise GraphError(f"{where}; allow relays, or shorten the longer path")
    if synapse.graded:
        raise GraphError(f"{where}, and a relay passes on no graded values; feed spikes, or shorten the longer path")


def _path(synapse: Synapse, shape: tuple[int, ...]) -> tuple[list[Population], list[Synapse]]:
    stops: list[Population] = []
    path: list[Synapse] = []
    source, left = synapse.source, synapse.balance_steps
    room = MAX_DELAY_STEPS - synapse.max_delay_steps
    while left > room:
        name = f"{synapse.source}_{synapse.target}_relay{len(stops)}"
        hop = min(left - 1, MAX_DELAY_STEPS)  # the relay itself takes one step
        path.append(OneToOne(source, name, weight=RELAY_WEIGHT, balance_steps=hop))
        stops.append(Cuba(name, shape, vth_mant=1, i_decay_q12=4096, v_decay_q12=4096))
        source, left = name, left - hop - 1
    path.append(replace(synapse, source=source, balance_steps=left))
    return stops, path
