"""Store a matrix of few weights as these weights."""

from __future__ import annotations

import numpy as np

from pumice.errors import GraphError
from pumice.ir import Dense, Graph, Sparse, Synapse, check_known
from pumice.passes.base import PassResult


def sparsify(graph: Graph, below: float) -> PassResult:
    """Turn dense synapses of which a small share of the weights is not 0 into sparse ones.

    Preserves every spike and state: the same sums of the same weights with the same delays. A sparse synapse costs
    memory, in a file and on a chip, for each weight that is not 0 and its place; a dense one for each pair.

    Args:
        graph: Any graph.
        below: Share of weights that are not 0, 0 to 1, below which a synapse is stored sparsely; 0 changes nothing.

    Returns:
        The graph. Running the pass again changes nothing.

    Raises:
        GraphError: `below` is no share, or the graph holds a kind that is not known.

    Example:
        >>> from dataclasses import replace
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3], seed=0)
        >>> pruned = replace(graph.synapses[0], weight=np.eye(3, 4, dtype=int))
        >>> [type(s).__name__ for s in sparsify(graph.replace(synapses=(pruned,)), below=0.5).graph.synapses]
        ['Sparse']
    """
    check_known(graph)
    if not 0 <= below <= 1:
        raise GraphError(f"the share of weights must lie in 0..1, got {below}")
    synapses = tuple(_sparse(s) if _is_sparse(s, below) else s for s in graph.synapses)
    modified = any(new is not old for new, old in zip(synapses, graph.synapses, strict=True))
    return PassResult(graph.replace(synapses=synapses) if modified else graph, modified)


def _is_sparse(s: Synapse, below: float) -> bool:
    return isinstance(s, Dense) and bool(np.any(s.weight)) and np.count_nonzero(s.weight) < below * s.weight.size


def _sparse(s: Synapse) -> Synapse:
    assert isinstance(s, Dense)
    rows, columns = np.nonzero(s.weight)
    delays = s.delay_steps
    return Sparse(
        s.source,
        s.target,
        s.graded,
        rows=rows,
        columns=columns,
        values=s.weight[rows, columns],
        weight_exp=s.weight_exp,
        delay_steps=delays if np.ndim(delays) == 0 else np.broadcast_to(delays, s.weight.shape)[rows, columns],
        balance_steps=s.balance_steps,
        target_channels=s.target_channels,
        part=s.part,
    )
