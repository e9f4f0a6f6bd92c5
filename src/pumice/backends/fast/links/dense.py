"""All to all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pumice.backends.fast.frames import Frames, events, padded
from pumice.backends.fast.kernels.events import add_delayed
from pumice.backends.fast.kernels.products import add_runs
from pumice.backends.fast.links.base import Array, Ends, Link
from pumice.backends.fast.links.sparse import prepare_single_weights
from pumice.backends.fast.matrix import Matrix
from pumice.ir import Dense, flatten_whc


class DenseLink(Link):
    """All to all."""

    def __init__(self, synapse: Dense, ends: Ends, delay: int | Array) -> None:
        super().__init__(synapse, ends, delay)
        order = flatten_whc(np.arange(ends.n_source).reshape(ends.source_shape))
        weight = np.empty((ends.n_source, len(synapse.weight)), ends.dtype)
        weight[order] = synapse.weight.T.astype(np.int64) << synapse.weight_exp
        self._weight = weight.reshape(-1)
        # A convolution of one place: each source is a channel of its own, with one run of weights.
        self._runs = tuple(np.array(a, np.uint32) for a in ([0, 1], [0], [ends.channels[0]], [len(synapse.weight)]))
        sizes = padded(ends.n_source), ends.n_target, ends.n_source, ends.n_source, 0
        self._sizes = np.array(sizes, np.uint64)
        self._matrix = Matrix.of(weight, ends.largest_sum)
        self._full = self._all_spike()

    def _add(self, arriving: Array, activation: Array) -> None:
        first, stop = self.ends.channels
        if self._matrix is not None and self._matrix.pays_off(arriving):
            activation[:, first:stop] += self._matrix.product(arriving[:, : self.ends.n_source])
            return
        add_runs(*events(arriving), self._weight, self._runs, self._full, self._sizes, activation.reshape(-1))


class TargetDelayLink(DenseLink):
    """All to all, with a delay for each target neuron: products once for each step, then looked up later."""

    def __init__(self, synapse: Dense, ends: Ends, delay: Array) -> None:
        super().__init__(synapse, ends, delay)
        self._target_delay = np.asarray(delay, np.int64)
        self._shortest = int(delay.min())

    def add(self, frames: Frames, activation: Array, first: int, stop: int) -> None:
        """See `Link.add`. What left the source before is multiplied again for every range of steps."""
        sent = frames.array[frames.history + first - self.longest : frames.history + stop - self._shortest]
        undelayed = np.zeros((*sent.shape[:2], activation.shape[-1]), activation.dtype)
        self._add(sent.reshape(-1, sent.shape[-1]), undelayed.reshape(-1, activation.shape[-1]))
        add_delayed(undelayed, self._target_delay, self.ends.channels[0], activation)


def prepare_dense(s: Dense, ends: Ends) -> Iterator[Link]:
    """One link if each source neuron, or each target neuron, has one delay; else single weights."""
    delays = np.broadcast_to(s.delay_steps, s.weight.shape)
    if np.all(delays == delays[:1]):
        order = flatten_whc(np.arange(ends.n_source).reshape(ends.source_shape))
        per_source = np.empty(ends.n_source, np.int64)
        per_source[order] = delays[0]
        yield DenseLink(s, ends, s.latency_steps + per_source)
    elif np.all(delays == delays[:, :1]):
        yield TargetDelayLink(s, ends, s.latency_steps + delays[:, 0])
    else:
        yield from prepare_single_weights(s, ends)
