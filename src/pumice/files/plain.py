"""Nested plain values from a file: depth, number and size are bounded, however they refer to each other."""

from __future__ import annotations

import math
from typing import Any

MAX_DEPTH = 32
MAX_VALUES = 1_000_000
MAX_TEXT = 20_000_000


def plain_problem(values: Any, *, finite: bool = False) -> str | None:
    """Why nested dictionaries and lists must not be walked into, or None.

    A list that holds another one twice, which holds a third one twice, ... is small in memory, and without end for
    whoever walks through it: what is referred to twice counts twice.

    Args:
        values: Of dictionaries, lists, tuples, texts, numbers; whatever else there is counts as one value.
        finite: Also refuse NaN and infinity.

    Example:
        >>> plain_problem({"a": [1, 2.5, "b"]}), plain_problem([math.inf], finite=True)
        (None, 'holds inf, which is no finite number')
        >>> nested = []
        >>> for _ in range(40):
        ...     nested = [nested, nested]
        >>> plain_problem(nested)
        'is nested more than 32 deep'
    """
    count, text = 0, 0
    waiting: list[tuple[Any, int]] = [(values, 0)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH:
            return f"is nested more than {MAX_DEPTH} deep"
        if count + len(waiting) > MAX_VALUES:
            return f"holds more than {MAX_VALUES:,} values"
        if isinstance(value, dict):
            waiting += [(item, depth + 1) for item in (*value.keys(), *value.values())]
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += [(item, depth + 1) for item in value]
        elif isinstance(value, str | bytes):
            text += len(value)
            if text > MAX_TEXT:
                return f"holds more than {MAX_TEXT:,} characters"
        elif finite and isinstance(value, float) and not math.isfinite(value):
            return f"holds {value}, which is no finite number"
    return None
