"""What a run on a chip measured, and the table that the chip's compiler printed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pumice.errors import InputError
from pumice.files.reading import file_size, reading
from pumice.hardware.moderate import is_moderate

LARGEST_FILE = 64 << 20
SMALLEST, LARGEST = 1e-30, 1e15
"""Of the numbers in a file that are not 0: nothing that is measured is near, and ratios of them stay finite."""
COLUMNS = ("AxonIn", "NeuronGr", "Neurons", "Synapses", "AxonMap", "AxonMem", "Total")
"""Of the compiler's table, in its order."""

_NUMBER = re.compile(r"(\d[\d,]*(?:\.\d+)?)\s*(%?)")


class CoreRow(NamedTuple):
    """One layer in the compiler's table.

    Attributes:
        values: Of each of `COLUMNS`, on its fullest core.
        cores: How many it takes.
        unit: "%" of what a core has, or "words", as it was printed.
    """

    values: tuple[float, ...]
    cores: int
    unit: str = "%"


@dataclass(frozen=True)
class Profile:
    """What is known about one run on a chip.

    Attributes:
        network: Its name.
        steps: Time steps that were run.
        host: The variables that led to the chip (`HOST_VARIABLES`).
        models: Process -> the model that Lava selected for it.
        adapters: What carried values in and out: their kinds and arguments.
        core_table: Rows of the compiler's table, in its order (last layer first); empty if it printed none.
        compiler_output: All that was printed while the network was compiled.
        measured: Mean values by name: "time_per_step" in us; "total_power", "static_power", "vdd_power",
            "vddm_power", "vddio_power" in W. What was not probed is not there.
        raw: Each probe's public values as they were, by probe and name.
    """

    network: str
    steps: int
    host: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    adapters: tuple[str, ...] = ()
    core_table: tuple[CoreRow, ...] = ()
    compiler_output: str = field(default="", repr=False)
    measured: Mapping[str, float] = field(default_factory=dict)
    raw: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def cores(self) -> int:
        """Cores in the compiler's table, all rows."""
        return sum(row.cores for row in self.core_table)

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps({**vars(self), "core_table": [row._asdict() for row in self.core_table]}, indent=1)


def parse_core_table(text: str) -> tuple[CoreRow, ...]:
    """The rows of the compiler's table, found in whatever it printed around them.

    A row is a line of cells between bars: a number for each of `COLUMNS`, in % or in words, and a number of cores.
    The compiler prints a table for each try at a partition; the last one counts.

    Args:
        text: What was printed.

    Example:
        >>> parse_core_table("| 4.90%|12.50%| 1.22%|78.40%| 0.31%| 0.00%|67.14%| 3|")
        (CoreRow(values=(4.9, 12.5, 1.22, 78.4, 0.31, 0.0, 67.14), cores=3, unit='%'),)
    """
    tables: list[list[CoreRow]] = [[]]
    for line in text.splitlines():
        row = _row(line)
        if row is not None:
            tables[-1].append(row)
        elif tables[-1] and any(c.isalpha() for c in line):  # rules between rows have no letters
            tables.append([])
    return tuple(next((table for table in reversed(tables) if table), ()))


def _row(line: str) -> CoreRow | None:
    cells = [_NUMBER.fullmatch(cell.strip()) for cell in line.strip().strip("|").split("|")]
    if len(cells) != len(COLUMNS) + 1:
        return None
    found = [(float(cell[1].replace(",", "")), cell[2]) for cell in cells if cell is not None]
    units = {unit for _, unit in found[:-1]}
    if len(found) != len(cells) or len(units) != 1 or found[-1][1] or found[-1][0] != int(found[-1][0]):
        return None
    return CoreRow(tuple(value for value, _ in found[:-1]), int(found[-1][0]), units.pop() or "words")


def load_profile(path: str | os.PathLike[str]) -> Profile:
    """A profile that `Profile.to_json` wrote.

    Raises:
        InputError: The file cannot be read, or is none.
    """
    path = Path(path)
    with reading(path, "a profile", InputError):
        if file_size(path) > LARGEST_FILE:
            raise InputError(f"{path}: is larger than {LARGEST_FILE} bytes, so it is no profile")
        found = json.loads(path.read_text(encoding="utf-8"))
    problem = next(_problems(found), None)
    if problem is not None:
        raise InputError(f"{path}: is not a profile of `pumice run --profile`: {problem}")
    known = {name: found[name] for name in Profile.__dataclass_fields__ if name in found}
    rows = found.get("core_table", ())
    table = tuple(CoreRow(tuple(map(float, row["values"])), row["cores"], row["unit"]) for row in rows)
    return Profile(**{**known, "core_table": table, "adapters": tuple(found.get("adapters", ()))})


def _problems(found: Any) -> Iterator[str]:
    if not isinstance(found, dict):
        yield f"it must hold an object, got {type(found).__name__}"
        return
    if stray := set(found) - set(Profile.__dataclass_fields__):
        yield f"unknown key {min(stray)!r}"
    if not isinstance(found.get("network"), str) or not _is_count(found.get("steps")):
        yield "network must be text, and steps a whole number"
    for name in ("host", "models", "measured", "raw"):
        if not isinstance(found.get(name, {}), dict):
            yield f"{name} must be an object"
            return
    if not all(_is_number(value) for value in found.get("measured", {}).values()):
        yield f"measured must hold finite numbers, 0 or {SMALLEST:g} to {LARGEST:g}"
    if not isinstance(found.get("adapters", []), list) or not isinstance(found.get("compiler_output", ""), str):
        yield "adapters must be a list, and compiler_output text"
    rows = found.get("core_table", [])
    if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
        yield f"core_table must hold rows of {len(COLUMNS)} values, a number of cores and a unit"


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and row.keys() == set(CoreRow._fields)
        and isinstance(row["values"], list)
        and len(row["values"]) == len(COLUMNS)
        and all(map(_is_number, row["values"]))
        and _is_count(row["cores"])
        and row["unit"] in ("%", "words")
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _is_number(value: Any) -> bool:
    return is_moderate(value, SMALLEST, LARGEST)
