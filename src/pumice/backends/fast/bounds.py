"""How large sums can get: what proves that a narrow integer or a float holds them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pumice.fixedpoint.formats import STATE_LIMIT, WORD_LIMIT
from pumice.ir import Accumulator, Cuba, Graph, Synapse

INT16_LIMIT = (1 << 15) - 1


def sends_values(graph: Graph, source: str) -> bool:
    """Whether what leaves a source is more than 0 or 1."""
    return source == graph.input.name or graph.population(source).sends_values


def reads_values(graph: Graph, s: Synapse) -> bool:
    """Whether a synapse sees more of its source than whether it is zero."""
    return s.graded and sends_values(graph, s.source)


def largest_value(graph: Graph, s: Synapse) -> int:
    """Bound on the size of what a synapse's source sends, as the synapse reads it."""
    if not reads_values(graph, s):
        return 1
    if s.source != graph.input.name:
        return WORD_LIMIT
    low, high = graph.input.value_range or (-STATE_LIMIT, STATE_LIMIT)
    return max(abs(low), abs(high))


def largest_sum(graph: Graph, s: Synapse) -> int:
    """Bound on the size of what a synapse adds to one neuron in one step, and of every partial sum of it.

    Example:
        >>> from pumice.ir import Dense, Input
        >>> dense = Dense("input", "a", True, weight=np.array([[3, -4]]), weight_exp=1)
        >>> graph = Graph(Input("input", (2,), (0, 5)), (Cuba("a", (1,), vth_mant=1),), (dense,), outputs=("a",))
        >>> largest_sum(graph, dense)
        70
    """
    return (s.largest_sum(*graph.ends_of(s)) * largest_value(graph, s)) << s.shift_bits


_NARROW = (Cuba, Accumulator)
"""Kinds whose step takes a 16-bit activation."""


def activation_types(graph: Graph) -> dict[str, type[np.signedinteger[Any]]]:
    """int16 for populations whose whole activation fits it, at every step and in every order of adding; else int32.

    Only for integrators, which are the many; the sum may leave 16 bits on the way, as it comes back modulo 2^16.
    """
    found: dict[str, type[np.signedinteger[Any]]] = {}
    for p in graph.populations:
        fits = type(p) in _NARROW and sum(largest_sum(graph, s) for s in graph.into(p.name)) <= INT16_LIMIT
        found[p.name] = np.int16 if fits else np.int32
    return found
