"""What a chip measured, laid beside what was planned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pumice.errors import InputError
from pumice.hardware.constants import Range
from pumice.hardware.profile import COLUMNS, CoreRow, Profile
from pumice.names import counted
from pumice.planner.energy import step_energy
from pumice.planner.plans import LayerRow, Plan
from pumice.planner.registers import BUDGETS
from pumice.planner.text import TITLES, rounded

CELL_TOLERANCE = 0.005
"""Percent points: the compiler prints two decimals."""
AXON_MEM = COLUMNS.index("AxonMem")
TOTAL = COLUMNS.index("Total")


@dataclass(frozen=True)
class Quantity:
    """One number, planned and measured.

    Attributes:
        name: What.
        unit: Of all values.
        planned: Low, nominal, high.
        measured: On the chip.
    """

    name: str
    unit: str
    planned: Range
    measured: float

    @property
    def ratio(self) -> float | None:
        """Planned, nominal, over measured; None where 0 was measured."""
        return self.planned.nominal / self.measured if self.measured else None

    @property
    def within(self) -> bool:
        """Whether the measured value lies in the planned range."""
        return self.planned.low <= self.measured <= self.planned.high


@dataclass(frozen=True)
class CellDifference:
    """A cell of the compiler's table that is not what was planned.

    Attributes:
        population: Whose row.
        column: One of `COLUMNS`, or "Cores".
        planned: In %, or cores.
        compiled: The same, as the compiler printed it.
    """

    population: str
    column: str
    planned: float
    compiled: float


@dataclass(frozen=True)
class Comparison:
    """A plan beside a run of the same network on a chip; print it.

    Attributes:
        network: Its name.
        quantities: What was both planned and measured.
        compared_cells: Cells of the compiler's table that were compared.
        differences: Those that differ; AxonMem, and Total where it has a part in it, only if more than planned.
        unmatched: Why the tables could not be compared, or None.
    """

    network: str
    quantities: tuple[Quantity, ...]
    compared_cells: int
    differences: tuple[CellDifference, ...]
    unmatched: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same as dictionaries, lists, numbers and text."""
        return {
            **vars(self),
            "quantities": [
                {**vars(q), "planned": list(q.planned), "ratio": q.ratio, "within": q.within} for q in self.quantities
            ],
            "differences": [vars(d) for d in self.differences],
        }

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def compare(plan: Plan, profile: Profile) -> Comparison:
    """Lay what a run measured beside the plan of the same graph.

    Args:
        plan: With activity, or only the tables are compared.
        profile: Of the run: `RunResult.profile`.

    Raises:
        InputError: One of them is something else.

    Example:
        >>> from pumice.ir.builder import chain
        >>> from pumice.planner import plan
        >>> row = CoreRow((0.03, 12.5, 0.07, 0.03, 0.02, 0.0, 0.08), cores=1)
        >>> found = compare(plan(chain((4,), [3], seed=0)), Profile("a", 9, core_table=(row,)))
        >>> found.unmatched, found.compared_cells
        (None, 8)
    """
    if not isinstance(plan, Plan) or not isinstance(profile, Profile):
        raise InputError(
            f"a Plan and a Profile are needed, got {type(plan).__name__} and {type(profile).__name__}; pumice.plan "
            "and hardware.profile.load_profile give them"
        )
    quantities = tuple(_quantities(plan, profile))
    if not profile.core_table:
        reason = "the run's profile holds no table of the compiler's"
        return Comparison(plan.network, quantities, 0, (), reason)
    layers = plan.layers[::-1]  # as the compiler prints them
    if len(layers) != len(profile.core_table):
        reason = (
            f"the compiler's table has {counted(len(profile.core_table), 'row')} for "
            f"{counted(profile.cores, 'core')}, the plan "
            f"{len(layers)} for {plan.cores} (adapters and relays may have rows of their own)"
        )
        return Comparison(plan.network, quantities, 0, (), reason)
    found = [d for layer, row in zip(layers, profile.core_table, strict=True) for d in _differences(plan, layer, row)]
    return Comparison(plan.network, quantities, len(layers) * (len(COLUMNS) + 1), tuple(found))


def _quantities(plan: Plan, profile: Profile) -> Iterator[Quantity]:
    measured = profile.measured
    if profile.core_table:
        yield Quantity("cores", "", Range(plan.cores, plan.cores, plan.cores), profile.cores)
    static = plan.constants["p_static_chip"].range.times(plan.chips)
    if "static_power" in measured:
        yield Quantity("static power", "W", static, measured["static_power"])
    if plan.time is None or plan.io is None or plan.counts is None or "time_per_step" not in measured:
        return
    time = measured["time_per_step"]
    yield Quantity(
        f"time per step ({plan.io.title})",
        "us",
        Range(*(chip + outside for chip, outside in zip(plan.time.mean, plan.io.time, strict=True))),
        time,
    )
    if "total_power" in measured and time > 0:  # with the measured time, or its error would count twice
        operations = float(plan.counts.operations.sum(1).mean())
        energy = step_energy(Range(time, time, time), operations, plan.chips, plan.board.chips, plan.constants)
        yield Quantity("energy per step, chips' rails", "uJ", energy.chip, measured["total_power"] * time)


def _differences(plan: Plan, layer: LayerRow, row: CoreRow) -> Iterator[CellDifference]:
    for index, (name, column) in enumerate(TITLES.items()):
        budget = plan.constants[BUDGETS[name]].value
        planned = 100 * layer.largest[name] / budget
        compiled = row.values[index] if row.unit == "%" else 100 * row.values[index] / budget
        is_bound = index == AXON_MEM or (index == TOTAL and layer.largest["axon_mem"] > 0)
        if compiled - planned > CELL_TOLERANCE or (planned - compiled > CELL_TOLERANCE and not is_bound):
            yield CellDifference(layer.population, column, planned, compiled)
    if layer.cores != row.cores:
        yield CellDifference(layer.population, "Cores", layer.cores, row.cores)


def _lines(found: Comparison) -> Iterator[str]:
    yield f"{found.network}: planned and measured"
    if not found.quantities:
        yield "    nothing was measured that the plan has, too"
    for q in found.quantities:
        unit = f" {q.unit}" if q.unit else ""
        low, nominal, high = (_shown(value, 2) for value in q.planned)
        planned = f"planned {nominal}" if low == high else f"planned {low} to {high}, nominal {nominal}"
        ratio = "" if q.ratio is None else f"ratio {q.ratio:.2f}, "
        verdict = f"{ratio}{'within' if q.within else 'OUTSIDE'}"
        yield f"    {q.name}: {planned}{unit}; measured {_shown(q.measured, 3)}{unit}; {verdict}"
    if found.unmatched is not None:
        yield f"    tables not compared: {found.unmatched}"
        return
    yield f"    table of cores: {found.compared_cells} cells compared, {len(found.differences)} differ"
    for d in found.differences:
        unit = "" if d.column == "Cores" else " %"
        yield f"        {d.population}, {d.column}: planned {d.planned:.5g}{unit}, compiled {d.compiled:.5g}{unit}"


def _shown(value: float, digits: int) -> str:
    return f"{value:,}" if isinstance(value, int) else rounded(value, digits)  # cores are counted, not estimated
