"""Integers of 32 bits where they suffice, and of 64 elsewhere, whose loops are compiled once something needs them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pumice.nn.kernels.spread import BLOCK
from pumice.nn.kernels.threads import parallel_for

GRAIN = 4 * BLOCK


def takes_narrow(scale: float) -> bool:
    """Whether `kernels.narrow` is defined for so many integers per unit: a power of two.

    Example:
        >>> takes_narrow(4096.0), takes_narrow(100.0)
        (True, False)
    """
    return math.frexp(scale)[0] == 0.5


def in_narrowest(narrow: Callable[..., None], wide: Callable[..., None], n: int, scale: float, *args: Any) -> None:
    """Call a loop over n neurons in 32 bits, and the same in 64 for the blocks of neurons that it leaves.

    Args:
        narrow: Of `kernels.narrow`.
        wide: Of `kernels.cuba`.
        n: Number of neurons.
        scale: Integers per unit.
        *args: What both need, but for `left`.
    """
    left = np.full(n, not takes_narrow(scale))
    if takes_narrow(scale):
        parallel_for(narrow, n, *args, left, grain=GRAIN)
    if left.any():
        parallel_for(wide, n, *args, left, grain=GRAIN)
