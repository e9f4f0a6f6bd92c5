"""A smaller case that fails in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pumice.testing.auditing.case import Case, Part, Step
from pumice.testing.auditing.pen import LIF

Fails = Callable[[Case], bool]
LEAST = {"out": 1, "time": 1, "batch": 1, "samples": 1, "steps": 1, "batches": 1, "scale": 1, "by": 1.0}
"""Smallest values of options that are numbers."""
TRIES = 400
"""Cases that may be run to make one smaller."""


def shrink(case: Case, fails: Fails, tries: int = TRIES) -> Case:
    """Leave out parts, steps and options, and make numbers smaller, as long as the case still fails.

    Args:
        case: One that fails.
        fails: Whether a case fails in the same way.
        tries: At most so many cases are run.

    Example:
        >>> parts = tuple(Part(kind, (i,), {"out": 8}) for i, kind in enumerate(["dense", "recurrent", "dense"]))
        >>> case = Case(seed=1, input_shape=(3,), time=4, parts=parts, returns=(3,), life=(Step("train"),))
        >>> small = shrink(case, lambda case: any(part.kind == "recurrent" for part in case.parts))
        >>> [(part.kind, part.sources, part.options) for part in small.parts], small.life, small.input_shape
        ([('recurrent', (0,), {})], (), (1,))
    """
    smaller = True
    while smaller and tries > 0:
        smaller = False
        for candidate in _smaller(case):
            tries -= 1
            if fails(candidate):
                case, smaller = candidate, True
                break
            if tries <= 0:
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    """Cases with something less, what saves most first."""
    for index in reversed(range(len(case.parts))):
        yield _without(case, index)
    for name in ("life", "lower_under", "run_under"):
        yield from _shorter(case, name)
    if len(case.returns) > 1:
        yield from _shorter(case, "returns")
    for name, plain in _PLAIN.items():
        if getattr(case, name) != plain:
            changes: dict[str, Any] = {name: plain}
            yield replace(case, **changes)
    for name in ("time", "batch", "samples"):
        for smaller in _numbers(getattr(case, name), int(LEAST[name])):
            changes = {name: smaller}
            yield replace(case, **changes)
    yield from _smaller_inputs(case)
    for index, part in enumerate(case.parts):
        yield from (_changed(case, index, smaller) for smaller in _smaller_parts(part))
    for index, step in enumerate(case.life):
        for options in _less(step.options):
            yield replace(case, life=(*case.life[:index], Step(step.kind, options), *case.life[index + 1 :]))


def _smaller_inputs(case: Case) -> Iterator[Case]:
    shape = case.input_shape
    for axis, n in enumerate(shape):
        for smaller in _numbers(n, 1):
            yield replace(case, input_shape=(*shape[:axis], smaller, *shape[axis + 1 :]))
    if len(shape) == 3:
        yield replace(case, input_shape=shape[:1])


def _smaller_parts(part: Part) -> Iterator[Part]:
    if len(part.sources) > 1:
        yield replace(part, sources=part.sources[:1])
    for options in _less(part.options):
        yield replace(part, options=options)


_PLAIN: dict[str, Any] = {
    "lava": "",
    "lower": {},
    "layouts": ("plain", "plain"),
    "input_range": (0, 1),
    "returned_as": "tuple",
    "example": "any",
    "values": "any",
}


def _without(case: Case, index: int) -> Case:
    """Without one part; who read it reads its first source."""
    source = case.parts[index].sources[0]

    def moved(value: int) -> int:
        value = source if value == index + 1 else value
        return value - (value > index + 1)

    parts = tuple(replace(p, sources=tuple(map(moved, p.sources))) for i, p in enumerate(case.parts) if i != index)
    returns = tuple(dict.fromkeys(value for value in map(moved, case.returns) if value or len(case.returns) == 1))
    return replace(case, parts=parts, returns=returns or (len(parts),))


def _shorter(case: Case, name: str) -> Iterator[Case]:
    items: Any = getattr(case, name)
    if len(items) > 1 and name != "returns":
        nothing: dict[str, Any] = {name: ()}
        yield replace(case, **nothing)
    for index in range(len(items)):
        fewer: dict[str, Any] = {name: items[:index] + items[index + 1 :]}
        yield replace(case, **fewer)


def _numbers(n: int, least: int) -> Iterator[int]:
    for smaller in dict.fromkeys((least, n // 2, n - 1)):
        if least <= smaller < n:
            yield smaller


def _changed(case: Case, index: int, part: Part) -> Case:
    return replace(case, parts=(*case.parts[:index], part, *case.parts[index + 1 :]))


def _less(options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """With one option less, or a smaller one."""
    for name, value in options.items():
        if name in LIF:  # no neuron can do without it
            if value != LIF[name]:
                yield {**options, name: LIF[name]}
            continue
        yield {key: other for key, other in options.items() if key != name}
        if isinstance(value, Mapping):
            for less in _less(value):
                yield {**options, name: less}
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for index, item in enumerate(value):
                if len(value) > 1:
                    yield {**options, name: value[:index] + value[index + 1 :]}
                for less in _less(item):
                    yield {**options, name: [*value[:index], less, *value[index + 1 :]]}
        elif isinstance(value, int) and not isinstance(value, bool):
            for smaller in _numbers(value, int(LEAST.get(name, 1))):
                yield {**options, name: smaller}
