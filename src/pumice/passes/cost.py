"""What a graph costs on a chip, in synapses and delays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pumice.ir import Conv, Dense, Direct, Graph, OneToOne, Sparse, Synapse, TokenMixing


class Cost(NamedTuple):
    """Counts of a graph.

    Attributes:
        synapses: Connections between single neurons; shared weights count once for each pair that they connect.
        delays: Spikes that must be kept on their way: steps of delay times neurons of the source, over all synapses.
    """

    synapses: int
    delays: int

    @property
    def total(self) -> int:
        """Connections and kept spikes count alike: each is one entry of a core's memory."""
        return self.synapses + self.delays


def graph_cost(graph: Graph) -> Cost:
    """Count a graph's connections and delayed spikes.

    Example:
        >>> from pumice.ir.builder import chain
        >>> graph_cost(chain((4,), [3, 2], seed=0))
        Cost(synapses=18, delays=0)
    """
    return Cost(
        sum(_connections(graph, s) for s in graph.synapses),
        sum(_kept(graph, s) for s in graph.synapses),
    )


def _connections(graph: Graph, s: Synapse) -> int:
    source, target = (int(np.prod(graph.shape_of(name))) for name in (s.source, s.target))
    if isinstance(s, Dense):
        return int(s.weight.size)
    if isinstance(s, Sparse):
        return int(s.values.size)
    if isinstance(s, Conv):
        positions = target // graph.shape_of(s.target)[-1]
        return int(s.weight.size) * positions  # the border's missing pixels count too
    if isinstance(s, TokenMixing):
        tokens = s.weight.shape[-1]
        return tokens * source
    if isinstance(s, (OneToOne, Direct)):
        return source
    raise TypeError(f"no cost for a synapse of kind {type(s).__name__}")


def _kept(graph: Graph, s: Synapse) -> int:
    return (s.max_delay_steps + s.balance_steps) * int(np.prod(graph.shape_of(s.source)))
