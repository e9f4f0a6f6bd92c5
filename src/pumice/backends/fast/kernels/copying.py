"""Copies within kernels: numba takes seconds to compile what `to[:] = values` says of shapes that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from pumice.jit import njit

Array = np.ndarray[Any, Any]


@njit(nogil=True, cache=True)
def copy(values: Array, to: Array) -> None:
    """to[:] = values, both of one dimension; `to` must be as long.

    Example:
        >>> to = np.zeros(2, np.int32)
        >>> copy(np.array([3, 4], np.int32), to)
        >>> to.tolist()
        [3, 4]
    """
    for i in range(values.size):
        to[i] = values[i]
