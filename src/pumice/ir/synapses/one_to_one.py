"""Each neuron to the neuron at its own place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint import to_int32
from pumice.ir.blocks import Blocks, Stored, Traffic
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


@dataclass(frozen=True, eq=False, kw_only=True)
class OneToOne(Synapse):
    """Each neuron feeds the neuron at its own place: current += weight * source * 2^weight_exp.

    Attributes:
        weight: One number, one per channel, or one per neuron (broadcast against the shape).
        weight_exp: Left shift, 0 to 7.
        delay_steps: 0 to 62: one number, or one per channel.
    """

    enters_everywhere: ClassVar[bool] = False  # each block has its own source neurons only
    limits: ClassVar = WEIGHT_LIMITS

    weight: int | IntArray
    weight_exp: int = 0
    delay_steps: int | IntArray = 0

    @property
    def weights(self) -> IntArray:
        """One, one per channel, or one per neuron."""
        return np.asarray(self.weight)

    def problems(self, source: Shape, target: Shape) -> Iterator[str]:
        """Both ends have one shape."""
        if source != target:
            yield f"shapes must be equal, got {source} and {target}"
        if np.shape(self.weight) not in ((), source[-1:], source):
            allowed = f"one number, one per channel {source[-1:]} or one per neuron {source}"
            yield f"weight must be {allowed}, got {np.shape(self.weight)}"
        yield from channel_delay_problems(source, self.delay_steps)

    def entries(self, source: Shape, target: Shape) -> Entries:
        """The diagonal."""
        neurons = np.arange(int(np.prod(source))).reshape(source)
        return non_zero(neurons, neurons, self.weight, self.delay_steps)

    def accumulate(self, sent: Int32Array, delay: int, target: Shape) -> Int32Array:
        """Each value times its weight."""
        product = np.asarray(self.weight, dtype=np.int64) * delayed_by(self.delay_steps, delay, sent)
        return to_int32(to_int32(product).astype(np.int64) << self.weight_exp)

    def sums(self, source: Shape, target: Shape) -> tuple[IntArray, IntArray]:
        """The weights themselves."""
        positive, negative = halves(self.weight)
        return np.broadcast_to(positive, target), np.broadcast_to(negative, target)

    def connections(self, source: Shape, target: Shape) -> int:
        """One for each neuron."""
        return int(np.prod(source))

    def stored(self, source: Shape, blocks: Blocks) -> Stored:
        """A row of one weight for each neuron of the block: as many as the powers of two of their number say."""
        held = np.bincount(blocks.numbers()[self._is_there(source)], minlength=blocks.n)
        powers = np.arange(int(held.max(initial=1)).bit_length())
        return Stored(held >> powers[:, None] & 1, 1 << powers, held)

    def traffic(self, sent: npt.NDArray[np.bool_], blocks: Blocks) -> Traffic:
        """A spike meets one weight, on one core."""
        place, there = blocks.numbers().reshape(-1), self._is_there(sent.shape[1:])
        arriving = np.array([np.bincount(place, (step & there).reshape(-1), blocks.n) for step in sent])
        return Traffic(arriving, arriving)

    def _is_there(self, source: Shape) -> npt.NDArray[np.bool_]:
        return np.broadcast_to(np.asarray(self.weight) != 0, source)
