"""What a graph costs on a chip, in synapses and delays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pumice.ir import Graph, Synapse, check_known


class Cost(NamedTuple):
    """Counts of a graph.

    Attributes:
        synapses: Connections between single neurons; shared weights count once for each pair that they connect. A
            weight of 0 has its place in a matrix or kernel, and so counts there; a stored zero of a sparse synapse
            has none.
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

    Raises:
        GraphError: The graph holds a kind of population or synapse that is not known.

    Example:
        >>> from pumice.ir.builder import chain
        >>> graph_cost(chain((4,), [3, 2], seed=0))
        Cost(synapses=18, delays=0)
    """
    check_known(graph)
    return Cost(
        sum(s.connections(*graph.ends_of(s)) for s in graph.synapses),
        sum(_kept(graph, s) for s in graph.synapses),
    )


def _kept(graph: Graph, s: Synapse) -> int:
    return (s.max_delay_steps + s.balance_steps) * int(np.prod(graph.shape_of(s.source)))
