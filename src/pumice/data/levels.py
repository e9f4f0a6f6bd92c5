"""Grey levels: the same picture on fewer integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.errors import InputError

IntArray = npt.NDArray[np.integer[Any]]


def check_levels(levels: int) -> None:
    """Refuse a number of levels that 8 bits do not hold.

    Raises:
        InputError: It is not in 2..256.
    """
    if not 2 <= levels <= 256:
        raise InputError(f"grey levels must lie in 2..256, got {levels}")


def to_levels(images: IntArray, value_range: tuple[int, int], levels: int) -> IntArray:
    r"""Integers of a range, rounded to `levels` equal steps.

    .. math:: y = \Big\lfloor \frac{(x - low)(levels - 1) + \lfloor (high - low) / 2 \rfloor}{high - low} \Big\rfloor

    Args:
        images: Of any shape, within the range.
        value_range: (low, high), low < high.
        levels: 2 to 256.

    Returns:
        uint8, 0 to levels - 1, of the same shape.

    Example:
        >>> to_levels(np.array([0, 127, 128, 255]), (0, 255), 3).tolist()
        [0, 1, 1, 2]
    """
    low, high = value_range
    scaled = (images.astype(np.int32) - low) * (levels - 1)
    return ((scaled + (high - low) // 2) // (high - low)).astype(np.uint8)
