"""What comes back from the chip, as Lava's CPU models would have it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.base import Record
from pumice.ir import Accumulator, Population

Int32Array = npt.NDArray[np.int32]

READ_BITS = 24
_SHIFT = 32 - READ_BITS


def sign_extended(values: npt.NDArray[np.integer[Any]]) -> Int32Array:
    """Values of 24 bits with the sign that their highest bit stands for, as lava-dl's tutorials read them.

    ``(x << 8) >> 8`` in 32 bits.

    Example:
        >>> sign_extended(np.array([5, 0xFFFFFB, -5])).tolist()
        [5, -5, -5]
    """
    return (np.asarray(values).astype(np.int32) << _SHIFT) >> _SHIFT


def as_record(population: Population, sent: Int32Array | None, states: dict[str, Int32Array]) -> Record:
    """A population's record from what was read.

    Where a neuron fired, the chip's voltage register counts refractory steps and reads 128 (2 << 6) in place of 0;
    an accumulator sends nothing, so its voltage is its output.

    Args:
        population: Whose.
        sent: What left it, (T, *shape); None for an accumulator.
        states: Its states after each step.
    """
    read = {name: sign_extended(values) for name, values in states.items()}
    if isinstance(population, Accumulator) or sent is None:
        return Record(read["v"], read)
    spikes = sign_extended(sent)
    if "v" in read:
        read["v"] = np.where(spikes != 0, 0, read["v"]).astype(np.int32)
    return Record(spikes, read)
