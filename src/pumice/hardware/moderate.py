"""Numbers in files, of which products and ratios are computed."""

from __future__ import annotations

from typing import Any


def is_moderate(value: Any, smallest: float, largest: float) -> bool:
    """Whether it is a number, 0 or of a size between the two; no boolean, infinity or NaN.

    Example:
        >>> [is_moderate(value, 1e-9, 1e9) for value in (0, -2.5, 1e300, float("nan"), True, "1")]
        [True, True, False, False, False, False]
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and (value == 0 or smallest <= abs(value) <= largest)
