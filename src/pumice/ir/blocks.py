"""A population cut into blocks, one for each core that holds a part of it, and what a synapse keeps beside each."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer[Any]]
Shape = tuple[int, ...]


class Blocks(NamedTuple):
    """Neurons cut along each axis of their shape; every neuron is in exactly one block.

    Attributes:
        axes: For each axis, the number of the block in which each index lies.
        counts: For each axis, how many blocks there are; of a part of a population some may be empty.

    Example:
        >>> Blocks.cut((5, 1, 4), (2, 1, 4)).numbers().reshape(5, 4).tolist()[4]
        [2, 2, 2, 2]
    """

    axes: tuple[IntArray, ...]
    counts: Shape

    @classmethod
    def cut(cls, shape: Shape, tile: Shape) -> Blocks:
        """Blocks of `tile` neurons along each axis; the last one takes the rest."""
        axes = tuple(np.arange(n) // size for n, size in zip(shape, tile, strict=True))
        return cls(axes, tuple(math.ceil(n / size) for n, size in zip(shape, tile, strict=True)))

    def channels(self, channels: tuple[int, int] | None) -> Blocks:
        """The same blocks, of those neurons only that have these channels."""
        return self if channels is None else self._replace(axes=(*self.axes[:-1], self.axes[-1][slice(*channels)]))

    @property
    def shape(self) -> Shape:
        """Of the neurons."""
        return tuple(map(len, self.axes))

    @property
    def n(self) -> int:
        """How many there are."""
        return math.prod(self.counts)

    def numbers(self) -> IntArray:
        """The block of each neuron, shape of the neurons; the last axis counts fastest."""
        total: IntArray = np.zeros(self.shape, np.int64)
        for axis, (of, count) in enumerate(zip(self.axes, self.counts, strict=True)):
            total = total * count + np.expand_dims(of, [i for i in range(len(self.axes)) if i != axis])
        return total

    def sizes(self) -> IntArray:
        """Neurons of each block, shape (n,)."""
        return self.over([np.bincount(of, minlength=n) for of, n in zip(self.axes, self.counts, strict=True)])

    def over(self, per_axis: list[IntArray]) -> IntArray:
        """Products of a number for each block of each axis, shape (n,)."""
        total: IntArray = np.ones(1, np.int64)
        for values in per_axis:
            total = (total[:, None] * values).reshape(-1)
        return total


class Stored(NamedTuple):
    """What a synapse keeps beside each block of its targets.

    A row holds the weights of one source neuron, or, where all places share them, of one position of the kernel and
    one source channel.

    Attributes:
        rows: Weights of a row of each kind onto each block, shape (kinds, blocks); a weight of 0 counts where it
            is stored.
        times: How many rows of each kind there are, shape (kinds,).
        inputs: Source neurons that each block has an entry for, shape (blocks,); of no use where weights are shared.
    """

    rows: IntArray
    times: IntArray
    inputs: IntArray


class Traffic(NamedTuple):
    """What a stream of spikes costs beside each block of targets.

    Attributes:
        operations: Synaptic operations, shape (T, blocks): one for each stored weight that a spike meets.
        messages: Spikes that arrive, shape (T, blocks).
    """

    operations: npt.NDArray[np.float64]
    messages: npt.NDArray[np.float64]
