"""What left a source in recent steps, in the form that the kernels read."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Frames:
    """Values of one source for a chunk of steps, and for so many steps before it as the longest delay looks back.

    Time is the first axis, so that a range of steps is one block of memory; neurons are padded to a multiple of
    8, so that silence can be skipped 8 neurons at a time.

    Attributes:
        history: Steps kept from before the chunk.
        array: Shape (history + steps, batch, n + padding).
    """

    def __init__(self, n: int, history: int, steps: int, batch: int, dtype: npt.DTypeLike) -> None:
        self.n = n
        self.history = history
        self.array: Array = np.zeros((history + steps, batch, padded(n)), dtype)

    def at(self, first: int, stop: int, delay: int = 0) -> Array:
        """What left the source `delay` steps before each of the chunk's steps first to stop - 1."""
        return self.array[self.history + first - delay : self.history + stop - delay]

    def forget(self, steps: int) -> None:
        """Begin a new chunk after `steps` steps of this one."""
        self.array[: self.history] = self.array[steps : steps + self.history]

    def clear(self) -> None:
        """Back to rest: nothing was sent before the chunk; in it, each step is written before it is read."""
        self.array[: self.history] = 0


def padded(n: int) -> int:
    """How many neurons there is room for in frames of n."""
    return -(-n // 8) * 8


def events(frames: Array) -> tuple[Array, Array, Array, Array]:
    """What the kernels that walk over events take first, see `kernels.products`.

    Args:
        frames: Shape (frames, n + padding), int8 or int32.
    """
    binary = frames.itemsize == 1
    sends = (frames if binary else (frames != 0).view(np.int8)).reshape(-1)
    values = np.zeros(0, np.int32) if binary else frames.reshape(-1)
    return sends, sends.view(np.uint64), values, np.empty(frames.shape[1], np.int32)
