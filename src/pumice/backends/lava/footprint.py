"""What a run needs in memory at the least, counted before it starts."""

from __future__ import annotations

import math
from collections.abc import Iterable

from pumice.ir import Conv, Dense, Graph, Synapse

VALUE_BYTES = 4
CHANNEL_SLOTS = 64
"""Lava's channels hold so many messages."""


def arrays_bytes(shapes: Iterable[tuple[int, ...]]) -> int:
    """Of arrays of what is recorded.

    Example:
        >>> arrays_bytes([(3, 5), (2,)])
        68
    """
    return VALUE_BYTES * sum(map(math.prod, shapes))


def processes_bytes(graph: Graph) -> int:
    """Weights, a matrix for each delay where Lava has one, and channels, with a process for each synapse.

    A lower bound: interpreters, and what models make of their weights, come on top.

    Example:
        >>> from pumice.ir.builder import chain
        >>> processes_bytes(chain((4,), [3], seed=0))  # 12 weights, and 64 messages of 4 and of 3 values
        1840
    """
    return sum(_synapse_bytes(graph, synapse) for synapse in graph.synapses)


def _synapse_bytes(graph: Graph, synapse: Synapse) -> int:
    source, target = graph.ends_of(synapse)
    match synapse:
        case Conv():
            weights = synapse.weights.size
        case Dense():
            weights = synapse.weights.size * (1 + synapse.max_delay_steps + synapse.balance_steps)
        case _:
            weights = synapse.connections(source, target)
    return VALUE_BYTES * (weights + CHANNEL_SLOTS * (math.prod(source) + math.prod(target)))
