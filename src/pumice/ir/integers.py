"""One form for every number of a graph, so that none of its integers depends on how the caller stored it."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_plain(value: Any) -> Any:
    """Integers as Python's, arrays of integers as int64; anything else as it is, for `verify_graph` to judge.

    In a narrower type sums, shifts and even `abs` overflow without a word, here and in Lava: int8 weights, say, or a
    value range taken from an int8 array.

    Example:
        >>> as_plain(np.int8(-128)), as_plain(np.arange(2, dtype=np.uint8)).dtype, as_plain([np.int8(3), 4])
        (-128, dtype('int64'), (3, 4))
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "iu" or (value.dtype == np.uint64 and np.any(value >= 2**63)):
            return value
        return int(value) if value.ndim == 0 else value.astype(np.int64, copy=False)
    if isinstance(value, tuple | list):
        return tuple(as_plain(n) for n in value)
    return value


class PlainIntegers:
    """A frozen dataclass whose fields go through `as_plain` when it is made."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if (plain := as_plain(value)) is not value:
                object.__setattr__(self, name, plain)
