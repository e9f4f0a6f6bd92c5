"""Which whole numbers a field of a population or synapse may hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from pumice.fixedpoint.formats import WORD_LIMIT

SIGNED_16 = (-(1 << 15), (1 << 15) - 1)
SIGNED_32 = (-WORD_LIMIT, WORD_LIMIT - 1)
MAX_GEOMETRY = 1 << 15
"""Largest stride, padding or dilation."""


class Limit(NamedTuple):
    """What one field may hold, in the arithmetic and, in the register of that name, on a chip.

    Attributes:
        low: Smallest number that the arithmetic of Lava's CPU models is defined for.
        high: Largest.
        per_neuron: Whether an array may stand there, which broadcasts against the population's shape.
        register: Field of `pumice.hardware.ChipLimits` that bounds it on a chip; None if nothing more does.
    """

    low: int
    high: int
    per_neuron: bool = False
    register: str | None = None


STEPS = Limit(1, SIGNED_32[1])
"""Of an interval or a period."""


def out_of_range(label: str, value: Any, low: int, high: int) -> Iterator[str]:
    """A line if a value is no integer, or one of its integers lies outside.

    Example:
        >>> [*out_of_range("bias", np.array([3, 12]), 0, 7)]
        ['bias must lie in 0..7, got 3 to 12']
    """
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.integer):
        yield f"{label} must be integers, got {array.dtype}"
    elif array.size and (int(array.min()) < low or int(array.max()) > high):
        found = f"{array.min()}" if array.size == 1 else f"{array.min()} to {array.max()}"
        yield f"{label} must lie in {low}..{high}, got {found}"


def misfits(label: str, value: Any, limit: Limit, shape: tuple[int, ...]) -> Iterator[str]:
    """What is wrong with a field of a population of this shape: its numbers, or its own shape.

    Example:
        >>> [*misfits("vth", np.array([3, 4]), Limit(0, 7), (2,))]
        ['vth must be one number, got shape (2,)']
    """
    yield from out_of_range(label, value, limit.low, limit.high)
    if not limit.per_neuron and np.ndim(value):
        yield f"{label} must be one number, got shape {np.shape(value)}"
        return
    try:
        np.broadcast_to(np.asarray(value), shape)
    except ValueError:
        yield f"{label} of shape {np.shape(value)} does not fit the population's shape {shape}"
