"""One matrix per head over the tokens of an image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pumice.fixedpoint import token_mixing_accumulate
from pumice.ir.layout import unflatten_whc
from pumice.ir.synapses.base import (
    WEIGHT_LIMITS,
    Entries,
    Int32Array,
    IntArray,
    Shape,
    Synapse,
    channel_delay_problems,
    delayed_by,
    halves,
    non_zero,
)
from pumice.names import counted


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenMixing(Synapse):
    """Mixes the tokens of each channel: per head one matrix, shared by the head's channels.

    An image (x, y, channel) has x * y tokens, numbered y * width + x; channels are split into equal heads in
    their order. current[m, c] += sum_n weight[head(c), m, n] * source[n, c].

    Deng, Wu, Du, Gu: Spiking Token Mixer, NeurIPS 2024.

    Attributes:
        weight: Integers, shape (heads, tokens, tokens).
        weight_exp: Left shift of the sum, 0 to 7.
        delay_steps: 0 to 62: one number, or one per channel.
    """

    delays_each_weight: ClassVar[bool] = False
    limits: ClassVar = WEIGHT_LIMITS

    weight: IntArray
    weight_exp: int = 0
    delay_steps: int | IntArray = 0

    @property
    def weights(self) -> IntArray:
        """The matrices."""
        return np.asarray(self.weight)

    def problems(self, source: Shape, target: Shape) -> Iterator[str]:
        """Both ends are one image, and the heads share its channels."""
        if len(source) != 3 or source != target:
            yield f"token mixing keeps an image's shape (x, y, channel), got {source} and {target}"
            return
        tokens = source[0] * source[1]
        if self.weight.ndim != 3 or self.weight.shape[1:] != (tokens, tokens) or not len(self.weight):
            yield f"weight must have shape (heads, {tokens}, {tokens}), got {self.weight.shape}"
        elif source[2] % len(self.weight):
            yield f"{len(self.weight)} heads do not divide {counted(source[2], 'channel')}"
        yield from channel_delay_problems(source, self.delay_steps)

    def entries(self, source: Shape, target: Shape) -> Entries:
        """Each pair of tokens for each channel, axes (target token, source token, channel)."""
        heads, tokens, _ = self.weight.shape
        channels = source[2]
        places = np.arange(tokens * channels).reshape(tokens, channels)
        by_token = places[np.argsort(unflatten_whc(np.arange(tokens), (*source[:2], 1)).reshape(-1))]
        values = np.repeat(self.weight.transpose(1, 2, 0), channels // heads, axis=2)
        return non_zero(by_token[:, None], by_token[None], values, self.delay_steps)

    def accumulate(self, sent: Int32Array, delay: int, target: Shape) -> Int32Array:
        """Each channel's tokens, mixed by its head's matrix."""
        return token_mixing_accumulate(self.weight, delayed_by(self.delay_steps, delay, sent), self.weight_exp)

    def sums(self, source: Shape, target: Shape) -> tuple[IntArray, IntArray]:
        """Of the rows of each head's matrix, in the places of its channels."""
        positive, negative = (self._image(half.sum(2), target) for half in halves(self.weight))
        return positive, negative

    def _image(self, per_token: IntArray, shape: Shape) -> IntArray:
        """(heads, tokens) -> (x, y, channel)."""
        width, height, channels = shape
        per_channel = np.repeat(per_token, channels // len(per_token), axis=0)
        return per_channel.reshape(channels, height, width).transpose(2, 1, 0)

    def fan_out(self, source: Shape, target: Shape) -> IntArray:
        """Of the columns of each head's matrix, in the places of its channels."""
        return self._image(np.count_nonzero(self.weight, axis=1), source).reshape(-1)

    def connections(self, source: Shape, target: Shape) -> int:
        """Each token with each, in each channel."""
        return self.weight.shape[-1] * math.prod(source)
