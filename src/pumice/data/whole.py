"""Arrays of whole numbers, taken as they are or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.errors import InputError


def whole_numbers(what: str, values: Any, dtype: npt.DTypeLike = np.int64, *, hint: str = "") -> npt.NDArray[Any]:
    """A one-dimensional array in another integer type, every value unchanged.

    A plain `astype` makes 9 of 9.9, 0 of NaN, and 0 of 65,536 in 16 bits.

    Args:
        what: Name of the values, for the message.
        values: Integers, booleans, or floating-point numbers without fractions.
        dtype: The type.
        hint: What to do about fractions.

    Raises:
        InputError: There are other dimensions or types, or a value would change.

    Example:
        >>> whole_numbers("label", np.array([3.0, 9.0])).tolist()
        [3, 9]
    """
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        raise InputError(f"{what}: expected whole numbers of shape (n,), got {array.dtype} of shape {array.shape}")
    with np.errstate(invalid="ignore"):
        cast = array.astype(dtype)
    changed = np.flatnonzero(cast != array)
    if changed.size:
        index, value, limits = changed[0], array[changed[0]], np.iinfo(dtype)
        if value != np.floor(value):  # a fraction, or NaN
            raise InputError(f"{what}: must be whole numbers, got {value} at index {index}{hint}")
        raise InputError(f"{what}: must lie in {limits.min}..{limits.max}, got {value} at index {index}")
    return cast
