"""The links of a graph: how each kind of synapse runs; a kind that is not listed runs as single weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pumice.backends.fast.bounds import activation_types, largest_sum, reads_values
from pumice.backends.fast.links.base import Ends, Link
from pumice.backends.fast.links.conv import prepare_conv
from pumice.backends.fast.links.dense import prepare_dense
from pumice.backends.fast.links.direct import prepare_direct
from pumice.backends.fast.links.sparse import prepare_single_weights
from pumice.backends.fast.links.token_mixing import prepare_token_mixing
from pumice.ir import Conv, Dense, Direct, Graph, Synapse, TokenMixing

_PREPARED: dict[type[Synapse], Callable[[Any, Ends], Iterator[Link]]] = {
    Direct: prepare_direct,
    Dense: prepare_dense,
    Conv: prepare_conv,
    TokenMixing: prepare_token_mixing,
}


def links(graph: Graph) -> list[Link]:
    """The links of every synapse of a graph."""
    kinds = activation_types(graph)
    return [
        link
        for s in graph.synapses
        for link in _PREPARED.get(type(s), prepare_single_weights)(s, _ends(graph, s, kinds[s.target]))
    ]


def _ends(graph: Graph, s: Synapse, dtype: type[np.signedinteger[Any]]) -> Ends:
    target_shape = graph.shape_of(s.target)
    return Ends(
        graph.shape_of(s.source),
        target_shape,
        s.target_channels or (0, target_shape[-1]),
        not reads_values(graph, s),
        largest_sum(graph, s),
        dtype,
    )


__all__ = ["Link", "links"]
