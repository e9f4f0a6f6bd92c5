"""Memory that forked processes share: without a name, so that it is gone with the last process that maps it."""

from __future__ import annotations

import math
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.errors import BackendError
from pumice.machine import size_of


def anonymous(n_bytes: int) -> mmap.mmap:
    """Zeros that processes forked from now on share.

    Raises:
        BackendError: There is no memory.
    """
    try:
        return mmap.mmap(-1, max(1, n_bytes))
    except (OSError, MemoryError) as error:
        raise BackendError(
            f"there is no memory for {size_of(n_bytes)} that Lava's processes share ({error}); run fewer steps at "
            "a time, record less, or raise the limit (`ulimit -v`, the container's)"
        ) from None


def shared_array(shape: tuple[int, ...], dtype: type[np.integer[Any]]) -> npt.NDArray[Any]:
    """Zeros in memory that forked processes share; it is freed with the last reference.

    Raises:
        BackendError: There is no memory.

    Example:
        >>> int(shared_array((2, 3), np.int32).sum())
        0
    """
    count = math.prod(shape)
    return np.frombuffer(anonymous(count * np.dtype(dtype).itemsize), dtype=dtype, count=count).reshape(shape)
