"""How large sums can get: what proves that a narrow integer or a float holds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.errors import BackendError
from pumice.fixedpoint.formats import STATE_LIMIT
from pumice.ir import (
    Accumulator,
    Conv,
    Cuba,
    Delta,
    Dense,
    Direct,
    Graph,
    OneToOne,
    Population,
    Resonator,
    Sigma,
    SigmaDelta,
    Sparse,
    Synapse,
    TokenMixing,
)
from pumice.ir.kinds import rule_for

INT16_LIMIT = (1 << 15) - 1
INT32_LIMIT = 1 << 31


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
        return INT32_LIMIT
    low, high = graph.input.value_range or (-STATE_LIMIT, STATE_LIMIT)
    return max(abs(low), abs(high))


def largest_sum(s: Synapse, value: int) -> int:
    """Bound on the size of what a synapse adds to one neuron in one step, and of every partial sum of it.

    Args:
        s: A synapse.
        value: Bound on the size of what its source sends.

    Example:
        >>> largest_sum(Dense("a", "b", weight=np.array([[3, -4], [1, 2]]), weight_exp=1), value=5)
        70
    """
    sums = rule_for(_SUMS_OF_SIZES, s, "the fast backend", BackendError)(s)
    return (int(np.max(sums, initial=0)) * value) << getattr(s, "weight_exp", 0)


_SUMS_OF_SIZES: dict[type[Synapse], Callable[[Any], npt.NDArray[Any]]] = {
    Direct: lambda s: np.ones(1, np.int64),
    Dense: lambda s: np.abs(s.weight).sum(1),
    Sparse: lambda s: np.bincount(s.rows, weights=np.abs(s.values)),
    Conv: lambda s: np.abs(s.weight).sum((1, 2, 3)),
    OneToOne: lambda s: np.abs(s.weight),
    TokenMixing: lambda s: np.abs(s.weight).sum(2),
}
"""For each target, what the sizes of the weights into it add up to."""

_MAY_BE_NARROW: dict[type[Population], bool] = {
    Cuba: True,
    Accumulator: True,
    Sigma: False,
    Delta: False,
    SigmaDelta: False,
    Resonator: False,
}
"""Whether the step takes a 16-bit activation."""


def activation_types(graph: Graph) -> dict[str, type[np.signedinteger[Any]]]:
    """int16 for populations whose whole activation fits it, at every step and in every order of adding; else int32.

    Only for integrators, which are the many; the sum may leave 16 bits on the way, as it comes back modulo 2^16.
    """
    found: dict[str, type[np.signedinteger[Any]]] = {}
    for p in graph.populations:
        total = sum(largest_sum(s, largest_value(graph, s)) for s in graph.into(p.name))
        narrow = rule_for(_MAY_BE_NARROW, p, "the fast backend", BackendError)
        found[p.name] = np.int16 if narrow and total <= INT16_LIMIT else np.int32
    return found
