"""What is believed about a chip, each number with its range, unit and source, and a user's own numbers instead."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from pumice.errors import InputError
from pumice.files.paths import possible_path
from pumice.files.reading import file_size, reading
from pumice.hardware.moderate import is_moderate
from pumice.names import unknown

LARGEST_FILE = 1 << 20
SMALLEST, LARGEST = 1e-9, 1e9
"""Of the numbers in a user's file that are not 0: products of them must not overflow."""
WITH_FRACTIONS = ("t_", "e_", "p_", "io_", "axon_mem_words_per_pixel")
"""Beginnings of names; what all others count comes in whole numbers, at least one."""


class Range(NamedTuple):
    """A quantity that is known within bounds only; in the same unit throughout."""

    low: float
    nominal: float
    high: float

    def times(self, factor: float) -> Range:
        """Each of the three, times a factor >= 0.

        Example:
            >>> Range(1, 2, 3).times(2)
            Range(low=2, nominal=4, high=6)
        """
        return Range(*(bound * factor for bound in self))


@dataclass(frozen=True)
class Constant:
    """One number.

    Attributes:
        value: What to plan with.
        low: The smallest that is believed possible.
        high: The largest.
        unit: Its unit.
        source: Where it comes from.
    """

    value: float
    low: float
    high: float
    unit: str
    source: str

    @property
    def range(self) -> Range:
        """The three numbers."""
        return Range(self.low, self.value, self.high)


@dataclass(frozen=True)
class Board:
    """A board with chips.

    Attributes:
        name: As it is chosen.
        title: As it is written.
        chips: How many it has.
        source: Where that comes from.
    """

    name: str
    title: str
    chips: int
    source: str


@dataclass(frozen=True)
class Constants:
    """All that is believed about a chip.

    Attributes:
        chip: Its name.
        boards: By name.
        table: By name.
        replaced: Names of those that a user's file replaced.

    Example:
        >>> constants = load_constants()
        >>> constants.words("pool_words"), constants.board("oheogulch").chips
        (16000, 1)
        >>> constants["t_sync"].range
        Range(low=1.16, nominal=1.8, high=1.8)
    """

    chip: str
    boards: Mapping[str, Board]
    table: Mapping[str, Constant]
    replaced: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Constant:
        return self.table[name]

    def words(self, name: str) -> int:
        """A budget, to be planned with."""
        return int(self.table[name].value)

    def board(self, name: str) -> Board:
        """A board by its name.

        Raises:
            InputError: There is none of that name.
        """
        if not isinstance(name, str) or name not in self.boards:
            raise InputError(unknown(name, self.boards, "board"))
        return self.boards[name]


def load_constants(path: str | os.PathLike[str] | None = None) -> Constants:
    """The constants of Loihi 2, some replaced by those of a file.

    Args:
        path: JSON of the form of `pumice/hardware/loihi2.json`: `{"constants": {NAME: {"value": ..., "low": ...,
            "high": ..., "source": ...}}, "boards": {NAME: {"chips": ...}}}`. What is left out of a constant is as
            before; low and high are the value where they are left out and it is not.

    Raises:
        InputError: The file cannot be read, or names or holds what there is not: budgets are whole numbers of at
            least 1, a barrier takes time.
    """
    shipped = json.loads(resources.files("pumice.hardware").joinpath("loihi2.json").read_text(encoding="utf-8"))
    boards = {name: Board(name, **fields) for name, fields in shipped["boards"].items()}
    table = {name: Constant(**fields) for name, fields in shipped["constants"].items()}
    if path is None:
        return Constants(shipped["chip"], boards, table)
    own = _read(possible_path(path))
    changed = dict(_constants(path, own.get("constants", {}), table))
    boards |= dict(_boards(path, own.get("boards", {}), boards))
    return Constants(shipped["chip"], boards, table | changed, tuple(changed))


def _read(path: Path) -> dict[str, Any]:
    with reading(path, "JSON", InputError):
        if file_size(path) > LARGEST_FILE:
            raise InputError(f"{path}: is larger than {LARGEST_FILE} bytes; it should hold a few constants")
        found = json.loads(path.read_text(encoding="utf-8"))
    allowed = {"constants", "boards", "chip", "about"}
    if not isinstance(found, dict) or set(found) - allowed:
        raise InputError(f"{path}: must be an object with the keys constants and boards")
    for key in ("constants", "boards"):
        section = found.get(key, {})
        if not isinstance(section, dict) or not all(isinstance(fields, dict) for fields in section.values()):
            raise InputError(f"{path}: {key} must map each name to an object")
    return found


def _constants(path: Any, own: dict[str, Any], known: dict[str, Constant]) -> Iterator[tuple[str, Constant]]:
    for name, fields in own.items():
        if name not in known:
            raise InputError(f"{path}: {unknown(name, known, 'constant')}")
        _check_fields(path, name, fields, ("value", "low", "high", "unit", "source"))
        before = known[name]
        if fields.get("unit", before.unit) != before.unit:
            raise InputError(f"{path}: {name} is in {before.unit!r}, got {fields['unit']!r}")
        value = _number(path, f"{name}.value", fields.get("value", before.value))
        ends = [fields.get(end, value if "value" in fields else getattr(before, end)) for end in ("low", "high")]
        low, high = (_number(path, f"{name}.{end}", n) for end, n in zip(("low", "high"), ends, strict=True))
        if not 0 <= low <= value <= high:
            raise InputError(f"{path}: {name} must have 0 <= low <= value <= high, got {low}, {value}, {high}")
        if not name.startswith(WITH_FRACTIONS) and any(n < 1 or n != int(n) for n in (low, value, high)):
            raise InputError(f"{path}: {name} must be a whole number >= 1, got {low}, {value}, {high}")
        if name.startswith("t_sync") and not low:
            raise InputError(f"{path}: {name} must be > 0: no step takes no time")
        yield name, Constant(value, low, high, before.unit, _text(path, name, fields, "source", f"{path}"))


def _boards(path: Any, own: dict[str, Any], known: dict[str, Board]) -> Iterator[tuple[str, Board]]:
    for name, fields in own.items():
        where = f"board {name}"
        _check_fields(path, where, fields, ("chips", "title", "source"))
        chips = fields.get("chips", known[name].chips if name in known else None)
        if not isinstance(chips, int) or isinstance(chips, bool) or not 1 <= chips <= LARGEST:
            raise InputError(f"{path}: {where}: chips must be an integer >= 1 and <= {LARGEST:g}, got {chips!r:.40}")
        title = _text(path, where, fields, "title", known[name].title if name in known else name)
        yield name, Board(name, title, chips, _text(path, where, fields, "source", f"{path}"))


def _check_fields(path: Any, where: str, fields: dict[str, Any], allowed: tuple[str, ...]) -> None:
    if stray := set(fields) - set(allowed):
        raise InputError(f"{path}: {where}: unknown field {min(stray)!r}; allowed: {', '.join(allowed)}")


def _text(path: Any, where: str, fields: dict[str, Any], name: str, default: str) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise InputError(f"{path}: {where}: {name} must be text, got {value!r:.40}")
    return value


def _number(path: Any, where: str, value: Any) -> float:
    if not is_moderate(value, SMALLEST, LARGEST):
        raise InputError(
            f"{path}: {where} must be a finite number, 0 or {SMALLEST:g} to {LARGEST:g}, got {value!r:.40}"
        )
    number: float = value
    return number
