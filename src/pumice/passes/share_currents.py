"""Compute a sum of currents that several populations need once, in a relay, where that is cheaper."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from typing import Any, Literal, get_args

import numpy as np

from pumice.errors import GraphError
from pumice.ir import Graph, OneToOne, Synapse, check_known
from pumice.ir.relays import is_value_relay, value_relay
from pumice.names import free_name
from pumice.passes.balance_latency import balance_latency
from pumice.passes.base import PassResult
from pumice.passes.cost import graph_cost

Residual = Literal["auto", "synapses", "relays"]


def share_currents(graph: Graph, residual: Residual = "auto") -> PassResult:
    """Replace synapses that several populations have in common by one relay that does not fire.

    A residual stream of currents, I_k = sum of all branches up to k, exists nowhere on a chip. There are two ways:

    - "synapses": every branch has a synapse into every population that reads the stream later. Only spikes are sent.
      K branches into K readers make K (K + 1) / 2 synapses, the older ones with long delays.
    - "relays": the sum is computed in a population that sends the value it receives (sigma-delta neurons without
      threshold), from where one-to-one synapses of weight 1 lead to its readers and to the next sum. Each branch
      has one synapse then; but every neuron of the stream sends a graded value in most steps, and each relay adds a
      step of latency, which the delays of other paths grow by.

    The cost is counted in connections between neurons and in delayed spikes (see `pumice.passes.cost`), after
    balancing; with "auto", sums are taken in the order of their readers, and each gets a relay if that lowers the
    cost. Wide blocks (many connections per branch) get relays, small and shallow ones synapses.

    Preserves every other population's spikes and states, later by the relays on its way: a sum of integers does not
    depend on where it is computed.

    Args:
        graph: Without balanced delays and schedule.
        residual: The way; "auto" takes the cheaper one for each sum.

    Returns:
        The graph with relays. Running the pass again changes nothing.

    Raises:
        GraphError: There is no such way; or a kind of population or synapse is not known.
    """
    if residual not in get_args(Residual):
        raise GraphError(f"residual must be one of {', '.join(get_args(Residual))}, got {residual!r}")
    check_known(graph)
    modified, contents = False, _Contents()
    for population in graph.populations if residual != "synapses" else ():
        relayed = _with_relay(graph, population.name, contents)
        if relayed is not None and (residual == "relays" or _total(relayed) < _total(graph)):
            graph, modified = relayed, True
    return PassResult(graph, modified)


def _total(graph: Graph) -> int:
    return graph_cost(balance_latency(graph).graph).total


def _with_relay(graph: Graph, reader: str, contents: _Contents) -> Graph | None:
    """The graph with a relay for all that one population receives, if others receive all of that too."""
    entering = {contents.of(s): s for s in graph.into(reader)}
    if len(entering) < len(list(graph.into(reader))) or _has_relay(graph, reader):
        return None
    if not entering or any(s.is_recurrent or s.part != "real" for s in entering.values()):
        return None
    shape = graph.shape_of(reader)
    beside = {s.target for s in graph.out_of(next(iter(entering.values())).source)}
    if len(beside) < 2:
        return None
    sources = {s.source for s in entering.values()}  # what feeds itself cannot be fed by a sum of its own spikes
    alike = (p.name for p in graph.populations if p.name in beside - sources and p.shape == shape)
    common = {name: [s for s in graph.into(name) if contents.of(s) in entering] for name in alike}
    # One that receives a part of it twice receives another sum.
    readers = {
        name: s for name, s in common.items() if len(s) == len(entering) == len({contents.of(one) for one in s})
    }
    if len(readers) < 2:
        return None
    relay = value_relay(free_name(f"{reader}_sum", graph.names), shape)
    gone = {id(s) for shared in readers.values() for s in shared}
    synapses = [s for s in graph.synapses if id(s) not in gone]
    synapses += [replace(s, target=relay.name) for s in entering.values()]
    synapses += [OneToOne(relay.name, name, graded=True, weight=1) for name in readers]
    place = next(i for i, p in enumerate(graph.populations) if p.name in readers)
    populations = (*graph.populations[:place], relay, *graph.populations[place:])
    return graph.replace(populations=populations, synapses=tuple(synapses))


def _has_relay(graph: Graph, reader: str) -> bool:
    """Whether a population receives the values of one relay and nothing else."""
    sources = [s.source for s in graph.into(reader)]
    return len(sources) == 1 and sources[0] != graph.input.name and is_value_relay(graph.population(sources[0]))


class _Contents:
    """What synapses do, whichever population they do it to, as something that can be compared fast."""

    def __init__(self) -> None:
        self._known: dict[
            int, tuple[Synapse, tuple[Any, ...]]
        ] = {}  # holds the synapse, so that its id stays its own

    def of(self, synapse: Synapse) -> tuple[Any, ...]:
        if id(synapse) not in self._known:
            values = (getattr(synapse, f.name) for f in fields(synapse) if f.name != "target")
            self._known[id(synapse)] = synapse, (type(synapse), *map(_comparable, values))
        return self._known[id(synapse)][1]


def _comparable(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return value.shape, value.dtype.str, hashlib.sha256(np.ascontiguousarray(value).tobytes()).digest()
