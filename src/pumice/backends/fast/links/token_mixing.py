"""Token mixing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pumice.backends.fast.frames import events, padded
from pumice.backends.fast.kernels.products import add_token_mixing
from pumice.backends.fast.links.base import Array, Ends, Link, per_channel
from pumice.ir import TokenMixing


class TokenMixingLink(Link):
    """One matrix per head, over places in memory order."""

    def __init__(self, synapse: TokenMixing, ends: Ends, delay: int | Array) -> None:
        super().__init__(synapse, ends, delay)
        width, height, channels = ends.source_shape
        heads = len(synapse.weight)
        tokens = np.arange(width * height).reshape(height, width).T.reshape(-1)  # of the places x * height + y
        mixed = synapse.weight.astype(np.int64)[:, tokens][:, :, tokens] << synapse.weight_exp
        self._weight = np.ascontiguousarray(mixed.transpose(0, 2, 1), ends.dtype).reshape(-1)
        self._head = np.arange(channels) * heads // channels
        sizes = padded(ends.n_source), width * height, ends.channels[0], ends.target_shape[-1]
        self._sizes = np.array(sizes, np.uint64)

    def _add(self, arriving: Array, activation: Array) -> None:
        room = np.empty(self.ends.n_source, activation.dtype)
        add_token_mixing(*events(arriving), self._weight, self._head, self._sizes, room, activation.reshape(-1))


def prepare_token_mixing(s: TokenMixing, ends: Ends) -> Iterator[Link]:
    """One link."""
    yield TokenMixingLink(s, ends, s.latency_steps + per_channel(s.delay_steps, ends))
