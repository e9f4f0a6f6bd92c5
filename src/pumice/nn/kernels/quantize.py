"""A weight on its grid, in one pass over memory."""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.jit import njit

Array = npt.NDArray[Any]
LOWEST, HIGHEST = np.float32(-128), np.float32(127)


@njit(nogil=True, cache=True)
def quantise(
    start: int, stop: int, weight: Array, step: np.float32, edge: np.float32, quantised: Array, passes: Array
) -> None:
    """The nearest of 256 multiples of `step`, ties to even; and 1 where the gradient passes, else 0.

    Args:
        start: First weight.
        stop: Behind the last weight.
        weight: float32, flat.
        step: Between two multiples.
        edge: 1 if the gradient stops at the outermost multiples, else 0.
        quantised: Receives the multiples.
        passes: Receives 1 or 0, float32.
    """
    for i in range(np.uintp(start), np.uintp(stop)):
        rounded = np.float32(np.rint(weight[i] / step))
        inside = rounded >= LOWEST + edge and rounded <= HIGHEST - edge
        passes[i] = np.float32(1) if inside else np.float32(0)
        # NaN stays NaN, being neither below nor above, and infinity becomes NaN.
        clamped = LOWEST if rounded < LOWEST else rounded
        quantised[i] = (HIGHEST if clamped > HIGHEST else clamped) * step - (weight[i] - weight[i])
