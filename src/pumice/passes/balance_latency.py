"""Delay the shorter of two paths that meet, so that the chip adds up what belongs to one step of the network."""

from __future__ import annotations

from dataclasses import replace

from pumice.errors import GraphError
from pumice.ir import Direct, Graph, Synapse, check_known
from pumice.ir.schedule import begins_with_input
from pumice.names import counted
from pumice.passes.base import PassResult


def balance_latency(graph: Graph) -> PassResult:
    """Give each synapse the `balance_steps` that make all paths into a population equally long.

    Preserves what the network computes: its output equals that of the same network without latency, shifted by
    `graph.latency`. Trained delays are kept, and are not counted as latency. A balance may exceed the 62 steps of
    a synapse; `insert_relays` comes next.

    Args:
        graph: Populations in feed-forward order; synapses against it are recurrent and left alone.

    Returns:
        The balanced graph. Running the pass again changes nothing.

    Raises:
        GraphError: A direct input, which has no delay, arrives too early; or a kind is not known.

    Example:
        >>> from pumice.ir import OneToOne
        >>> from pumice.ir.builder import chain
        >>> graph = chain((3,), [3, 3], seed=0)
        >>> skip = OneToOne("input", "dense1", weight=2)
        >>> balanced = balance_latency(graph.replace(synapses=(*graph.synapses, skip))).graph
        >>> [s.balance_steps for s in balanced.synapses], balanced.latency
        ([0, 0, 1], 2)
    """
    check_known(graph)
    latency = {graph.input.name: 0, **{p.name: 0 for p in graph.populations if begins_with_input(graph, p)}}
    balanced: dict[int, Synapse] = {}
    for population in graph.populations:
        synapses = [s for s in graph.into(population.name) if s.source in latency]
        if not synapses:
            continue
        latest = max(latency[s.source] + s.latency_steps for s in synapses)
        latency[population.name] = latest
        for synapse in synapses:
            missing = latest - latency[synapse.source] - synapse.latency_steps
            if missing and isinstance(synapse, Direct):
                raise GraphError(
                    f"synapse {synapse.source} -> {synapse.target}: a direct input has no delay, but arrives "
                    f"{counted(missing, 'step')} before what it is added to; use a OneToOne synapse instead"
                )
            if missing:
                balanced[id(synapse)] = replace(synapse, balance_steps=synapse.balance_steps + missing)
    if not balanced:
        return PassResult(graph, False)
    return PassResult(graph.replace(synapses=tuple(balanced.get(id(s), s) for s in graph.synapses)), True)
