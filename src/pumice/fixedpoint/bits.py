"""Shifts, wraps and clips of the chip's registers, on NumPy integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.formats import STATE_LIMIT

IntArray = npt.NDArray[np.integer[Any]]


def to_int32(x: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Keep the low 32 bits, as a two's-complement int32: Lava's ports and buffers are int32.

    Example:
        >>> int(to_int32(2**31 + 5))
        -2147483643
    """
    return np.asarray(x, dtype=np.int64).astype(np.int32)


def shift_toward_zero(x: npt.ArrayLike, bits: int) -> npt.NDArray[np.int64]:
    """sign(x) * (|x| >> bits): the chip's decay drops the fraction toward zero, also below zero.

    Args:
        x: Integers of any shape.
        bits: Number of bits to drop.

    Example:
        >>> shift_toward_zero([-5, 5], 1).tolist()  # an arithmetic shift would give -3
        [-2, 2]
    """
    wide = np.asarray(x, dtype=np.int64)
    return np.sign(wide) * (np.abs(wide) >> bits)


def wrap24_once(x: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Wrap the current once around 2^24: the result lies in (-2^23, 2^23] if |x| < 3 * 2^23.

    Example:
        >>> wrap24_once([2**23, 2**23 + 1, -(2**23)]).tolist()
        [8388608, -8388607, 8388608]
    """
    value = to_int32(x)
    wrapped = np.where(value > STATE_LIMIT, value - 2 * STATE_LIMIT, value)
    return np.where(wrapped <= -STATE_LIMIT, value + 2 * STATE_LIMIT, wrapped).astype(np.int32)


def wrap24_accumulator(x: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Wrap a convolution's sum into [-2^23, 2^23), as often as needed.

    Example:
        >>> wrap24_accumulator([2**23, -(2**23)]).tolist()
        [-8388608, -8388608]
    """
    wide = np.asarray(x, dtype=np.int64)
    return ((wide + STATE_LIMIT) % (2 * STATE_LIMIT) - STATE_LIMIT).astype(np.int32)


def clip24(x: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Clip the voltage to +-(2^23 - 1).

    Example:
        >>> clip24([2**23, -(2**24)]).tolist()
        [8388607, -8388607]
    """
    return np.clip(to_int32(x), -STATE_LIMIT + 1, STATE_LIMIT - 1)
