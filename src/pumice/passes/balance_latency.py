"""Delay the shorter of two paths that meet, so that the chip adds up what belongs to one step of the network."""

from __future__ import annotations

from dataclasses import replace

from pumice.errors import GraphError
from pumice.ir import Cuba, Direct, Graph, OneToOne, Population, Synapse
from pumice.ir.verify import MAX_DELAY_STEPS
from pumice.passes.base import PassResult

RELAY_WEIGHT = 2
"""Fires a relay: a neuron without memory, of threshold 1."""


def balance_latency(graph: Graph, *, relays: bool = True) -> PassResult:
    """Give each synapse the `balance_steps` that make all paths into a population equally long.

    Preserves what the network computes: its output equals that of the same network without latency, shifted by
    `graph.latency`. Trained delays are kept, and are not counted as latency.

    Args:
        graph: Populations in feed-forward order; synapses against it are recurrent and left alone.
        relays: Where a synapse would need more than 62 steps, put relay populations into its path.

    Returns:
        The balanced graph. Running the pass again changes nothing.

    Raises:
        GraphError: More than 62 steps are needed and relays are forbidden, or the path carries graded values,
            which a relay cannot pass on.

    Example:
        >>> from pumice.ir import Input
        >>> from pumice.ir.builder import chain
        >>> graph = chain((3,), [3, 3], seed=0)
        >>> skip = OneToOne("input", "dense1", weight=2)
        >>> balanced = balance_latency(graph.replace(synapses=(*graph.synapses, skip))).graph
        >>> [s.balance_steps for s in balanced.synapses], balanced.latency
        ([0, 0, 1], 2)
    """
    latency = {graph.input.name: 0}
    populations: list[Population] = []
    synapses: list[Synapse] = []
    modified = False
    for population in graph.populations:
        arms = [s for s in graph.into(population.name) if s.source in latency and not s.is_recurrent]
        latency[population.name] = max((latency[s.source] + s.latency_steps for s in arms), default=0)
        for synapse in graph.into(population.name):
            missing = 0
            if synapse in arms:
                missing = latency[population.name] - latency[synapse.source] - synapse.latency_steps
            if not missing:
                synapses.append(synapse)
                continue
            modified = True
            stops, path = _path(synapse, missing, graph.shape_of(synapse.source), relays)
            populations += stops
            synapses += path
        populations.append(population)
    if not modified:
        return PassResult(graph, False)
    return PassResult(graph.replace(populations=tuple(populations), synapses=tuple(synapses)), True)


def _path(
    synapse: Synapse, missing: int, shape: tuple[int, ...], relays: bool
) -> tuple[list[Population], list[Synapse]]:
    """The synapse delayed by `missing` steps, with as many relays in its path as that takes."""
    where = f"synapse {synapse.source} -> {synapse.target}"
    if isinstance(synapse, Direct):
        raise GraphError(f"{where}: a direct input cannot be delayed by the {missing} steps that it is early")
    room = MAX_DELAY_STEPS - synapse.max_delay_steps - synapse.balance_steps
    if missing <= room:
        return [], [replace(synapse, balance_steps=synapse.balance_steps + missing)]
    if not relays:
        raise GraphError(
            f"{where}: its path is {missing} steps too short, which is more than the {room} that its delays have left; "
            "allow relays"
        )
    if synapse.graded:
        raise GraphError(
            f"{where}: {missing} steps are too many for its delays, and a relay cannot pass on graded values"
        )
    stops: list[Population] = []
    path: list[Synapse] = []
    source = synapse.source
    while missing > room:
        name = f"{synapse.source}_{synapse.target}_relay{len(stops)}"
        hop = min(missing - 1, MAX_DELAY_STEPS)  # the relay itself costs one step
        path.append(OneToOne(source, name, weight=RELAY_WEIGHT, balance_steps=hop))
        stops.append(Cuba(name, shape, vth_mant=1, i_decay_q12=4096, v_decay_q12=4096))
        source, missing = name, missing - hop - 1
    path.append(replace(synapse, source=source, balance_steps=synapse.balance_steps + missing))
    return stops, path
