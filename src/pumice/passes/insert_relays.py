"""Put relay populations into paths that are too long for a synapse's delay."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from pumice.errors import GraphError
from pumice.fixedpoint.formats import DELAY_STEPS
from pumice.ir import Graph, OneToOne, Population, Synapse, check_known
from pumice.ir.relays import relay
from pumice.passes.base import PassResult


def insert_relays(graph: Graph) -> PassResult:
    """Split every synapse whose delays exceed 62 steps into hops over relays, which pass on what they receive.

    Spikes are relayed by neurons without memory, whose threshold one spike exceeds. Values are relayed by
    sigma-delta neurons without threshold or activation: they send each change of the sum of what they received, that
    is, what they received, in the same step (but -2^31, which no population sends).

    Preserves every other population's spikes and states at every step: a relay costs one step, which its hops'
    delays make up for.

    Args:
        graph: Balanced.

    Returns:
        A graph in which no synapse delays longer than 62 steps. Running the pass again changes nothing.

    Raises:
        GraphError: A delay of a synapse's own exceeds 62 steps; or a kind of population or synapse is not known.
    """
    check_known(graph)
    populations: list[Population] = list(graph.populations)
    synapses: list[Synapse] = []
    taken = set(graph.names)
    for synapse in graph.synapses:
        if synapse.max_delay_steps + synapse.balance_steps <= DELAY_STEPS.high:
            synapses.append(synapse)
            continue
        if synapse.max_delay_steps > DELAY_STEPS.high:  # no path of relays makes it shorter
            raise GraphError(
                f"synapse {synapse.source} -> {synapse.target}: a delay of its own of {synapse.max_delay_steps} "
                f"steps, allowed are 0 to {DELAY_STEPS.high}; set delay.max_delay = {DELAY_STEPS.high} (delays are "
                "clamped to it)"
            )
        stops, path = _path(synapse, graph.shape_of(synapse.source), taken)
        place = next(i for i, p in enumerate(populations) if p.name == synapse.target)
        populations[place:place] = stops
        taken |= {stop.name for stop in stops}
        synapses += path
    modified = len(populations) != len(graph.populations)
    changed = graph.replace(populations=tuple(populations), synapses=tuple(synapses)) if modified else graph
    return PassResult(changed, modified)


def _path(synapse: Synapse, shape: tuple[int, ...], taken: set[str]) -> tuple[list[Population], list[Synapse]]:
    """The relays of a synapse, and what joins them."""
    numbered = (f"{synapse.source}_{synapse.target}_relay{i}" for i in count())
    free = (name for name in numbered if name not in taken)
    stops: list[Population] = []
    path: list[Synapse] = []
    source, left = synapse.source, synapse.balance_steps
    room = DELAY_STEPS.high - synapse.max_delay_steps
    while left > room:
        name = next(free)
        hop = min(left - 1, DELAY_STEPS.high)  # the relay itself takes one step
        weight, stop = relay(name, shape, graded=synapse.graded)
        path.append(OneToOne(source, name, synapse.graded, weight=weight, balance_steps=hop))
        stops.append(stop)
        source, left = name, left - hop - 1
    path.append(replace(synapse, source=source, balance_steps=left))
    return stops, path
