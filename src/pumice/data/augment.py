"""Small random changes of training images, in integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer[Any]]


def add_noise(images: IntArray, deviation: float, value_range: tuple[int, int], rng: np.random.Generator) -> IntArray:
    """Add Gaussian noise, round to integers, and clip to the range.

    Args:
        images: Integers of any shape.
        deviation: Standard deviation in grey levels; 0 changes nothing.
        value_range: Smallest and largest value.
        rng: Source of chance.

    Example:
        >>> add_noise(np.array([0, 8, 16]), 100.0, (0, 16), np.random.default_rng(0)).tolist()
        [13, 0, 16]
    """
    if deviation == 0:
        return images
    noisy = np.rint(images + rng.normal(0.0, deviation, images.shape))
    return noisy.clip(*value_range).astype(images.dtype)
