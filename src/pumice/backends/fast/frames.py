"""What left a source in recent steps, in the form that the kernels read."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Frames:
    """Values of one source for a chunk of steps, and for so many steps before it as the longest delay looks back.

    Time is the first axis, so that a range of steps is one block of memory; neurons are padded to whole words of
    8 bytes, so that silence can be skipped 8 bytes at a time.

    Attributes:
        history: Steps kept from before the chunk.
        array: Shape (history + steps, batch, n + padding).
    """

    def __init__(self, n: int, history: int, steps: int, batch: int, dtype: npt.DTypeLike) -> None:
        per_word = 8 // np.dtype(dtype).itemsize
        padded = -(-n // per_word) * per_word
        self.n = n
        self.history = history
        self.array: Array = np.zeros((history + steps, batch, padded), dtype)

    def at(self, first: int, stop: int, delay: int = 0) -> Array:
        """What left the source `delay` steps before each of the chunk's steps first to stop - 1."""
        return self.array[self.history + first - delay : self.history + stop - delay]

    def forget(self, steps: int) -> None:
        """Begin a new chunk after `steps` steps of this one."""
        self.array[: self.history] = self.array[steps : steps + self.history]

    def clear(self) -> None:
        """Back to rest: nothing was sent before the chunk; in it, each step is written before it is read."""
        self.array[: self.history] = 0


def words(block: Array) -> Array:
    """Frames as uint64, one row for each step and sample."""
    return block.reshape(-1, block.shape[-1]).view(np.uint64)
