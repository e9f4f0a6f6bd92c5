"""Single weights: how every kind of synapse can run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pumice.backends.fast.frames import events, padded
from pumice.backends.fast.kernels.products import add_sparse
from pumice.backends.fast.links.base import Array, Ends, Link
from pumice.ir import Synapse


class SparseLink(Link):
    """Single weights, sorted by source."""

    def __init__(self, synapse: Synapse, ends: Ends, delay: int | Array, entries: tuple[Array, Array, Array]) -> None:
        super().__init__(synapse, ends, delay)
        target, source, weight = entries
        order = np.argsort(source, kind="stable")
        self._start = np.searchsorted(source[order], np.arange(ends.n_source + 1)).astype(np.uint64)
        self._target = target[order].astype(np.uint64)
        self._weight = weight[order].astype(ends.dtype)
        self._sizes = np.array([padded(ends.n_source), ends.n_target], np.uint64)

    def _add(self, arriving: Array, activation: Array) -> None:
        add_sparse(*events(arriving), self._start, self._target, self._weight, self._sizes, activation.reshape(-1))


def prepare_single_weights(s: Synapse, ends: Ends) -> Iterator[Link]:
    """One link if each source neuron has one delay, else one for each delay."""
    rows, columns, values, delays = s.entries(ends.source_shape, ends.receiving_shape)
    target = ends.target_index().reshape(-1)[rows]
    weight = values << s.shift_bits
    per_source = np.zeros(ends.n_source, np.int64)
    per_source[columns] = delays
    if np.array_equal(per_source[columns], delays):
        yield SparseLink(s, ends, s.latency_steps + per_source, (target, columns, weight))
        return
    for delay in np.unique(delays):
        now = delays == delay
        yield SparseLink(s, ends, s.latency_steps + int(delay), (target[now], columns[now], weight[now]))
