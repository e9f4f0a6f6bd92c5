"""Whether the fields of a graph's parts hold what they are annotated with, before anything is computed with them.

Which numbers may stand there is another question, and the kinds' own (`limits`, `problems`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np


def type_problems(part: Any) -> Iterator[str]:
    """A line for each field that holds something else than its annotation says.

    Args:
        part: A dataclass, or what stands where one should. Annotations that are none of a graph's are not judged.

    Example:
        >>> from pumice.ir import Dense
        >>> [*type_problems(Dense("a", "b", weight=[[1, 2]], weight_exp=np.array([3])))]
        ['weight must be an array of integers, got ((1, 2),)', 'weight_exp must be one number, got array([3])']
    """
    for field in fields(part):
        stated = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", "")
        fits, what = _FIELDS.get(stated, (_anything, ""))
        if not fits(value := getattr(part, field.name)):
            yield f"{field.name} must be {what}, got {value!r:.60}"


def _anything(_: Any) -> bool:
    return True


def _is_number(value: Any) -> bool:
    """Fractions, too: that they are no integers is said with the limits."""
    return isinstance(value, int | float)


def _is_array(value: Any) -> bool:
    """Of anything like numbers; that they are integers is said with the limits."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "biufcO"


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(n, int) for n in value)


def _is_pair(value: Any) -> bool:
    """An array, too: what computes with two integers takes both."""
    return (_is_shape(value) and len(value) == 2) or (
        isinstance(value, np.ndarray) and value.shape == (2,) and value.dtype.kind in "iu"
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(map(_is_text, value))


def _maps_texts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(_is_text(key) and _is_text(text) for key, text in value.items())


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "str": (_is_text, "a text"),
    "bool": (lambda value: isinstance(value, int) and value in (0, 1), "True or False"),
    "int": (_is_number, "one number"),
    "IntArray": (_is_array, "an array of integers"),
    "int | IntArray": (lambda value: _is_number(value) or _is_array(value), "one number or an array of integers"),
    "tuple[int, ...]": (_is_shape, "a tuple of integers"),
    "tuple[int, int]": (_is_pair, "two integers"),
    "tuple[int, int] | None": (lambda value: value is None or _is_pair(value), "two integers"),
    "tuple[str, ...]": (_is_texts, "a tuple of names"),
    "dict[str, str]": (_maps_texts, "texts by name"),
}
