"""Whether values are whole numbers of a range, in one pass over memory."""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.jit import njit

Array = npt.NDArray[Any]


@njit(nogil=True, cache=True)
def find_others(start: int, stop: int, x: Array, low: np.float32, high: np.float32, found: Array) -> None:
    """Set `found[0]` to 1 if a value is a fraction, lies outside low..high, or is not finite.

    Args:
        start: First value.
        stop: Behind the last value.
        x: float32, flat.
        low: Smallest allowed value, whole.
        high: Largest allowed value, whole.
        found: One integer.
    """
    n = 0
    for i in range(np.uintp(start), np.uintp(stop)):
        n += 1 - ((x[i] >= low) & (x[i] <= high) & (np.floor(x[i]) == x[i]))  # without a branch, for SIMD
    if n:
        found[0] = 1
