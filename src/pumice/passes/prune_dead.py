"""Leave out what cannot matter: weights of 0, and populations that nothing listens to."""

from __future__ import annotations

import numpy as np

from pumice.ir import Direct, Graph, Synapse, check_known
from pumice.ir.schedule import is_autonomous
from pumice.passes.base import PassResult


def prune_dead(graph: Graph) -> PassResult:
    """Remove synapses whose weights are all 0, sparse weights of 0, and populations that reach no output.

    Preserves the outputs at every step, and the spikes and states of every population that stays.

    Args:
        graph: Any graph.

    Returns:
        The smaller graph. Running the pass again changes nothing.

    Raises:
        GraphError: The graph holds a kind of population or synapse that is not known.

    Example:
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 2], seed=0)
        >>> [p.name for p in prune_dead(graph.replace(outputs=("dense0",))).graph.populations]
        ['dense0']
    """
    check_known(graph)
    without_zeros = graph.replace(synapses=tuple(s.without_zeros() for s in graph.synapses))
    stating = _stating_latency(without_zeros)
    alive = [s for s in without_zeros.synapses if not _is_zero(s) or id(s) in stating]
    kept_graph = graph.replace(synapses=tuple(alive))
    heard, waiting = set(graph.outputs), list(graph.outputs)
    while waiting:
        sources = {s.source for s in kept_graph.into(waiting.pop())}
        waiting += sources - heard
        heard |= sources
    populations = tuple(p for p in graph.populations if p.name in heard)
    kept = tuple(s for s in alive if s.target in heard)
    modified = len(populations) < len(graph.populations) or [id(s) for s in kept] != [id(s) for s in graph.synapses]
    return PassResult(graph.replace(populations=populations, synapses=kept) if modified else graph, modified)


def _is_zero(synapse: Synapse) -> bool:
    return not isinstance(synapse, Direct) and not np.any(synapse.weights)


def _stating_latency(graph: Graph) -> set[int]:
    """Of each population that zeros alone lead to, the first synapse: it still states the latency."""
    place = {name: k for k, name in enumerate(graph.names)}
    clocks = {p.name for p in graph.populations if is_autonomous(graph, p)}
    stating: set[int] = set()
    for p in graph.populations:
        forward = [s for s in graph.into(p.name) if place[s.source] < place[p.name] and s.source not in clocks]
        if all(map(_is_zero, forward)):
            stating |= {id(s) for s in forward[:1]}
    return stating
