"""A plan as text: never more digits than the estimates deserve."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pumice.hardware.constants import Range
from pumice.hardware.profile import COLUMNS
from pumice.names import counted
from pumice.planner.assumptions import ALWAYS, SEVERAL_CHIPS
from pumice.planner.energy import Energy
from pumice.planner.registers import BUDGETS
from pumice.planner.registers import COLUMNS as REGISTERS

if TYPE_CHECKING:
    from pumice.planner.plans import LayerRow, Plan

DIGITS = 2
SHOWN_OPERATIONS = 3
TITLES = dict(zip((*REGISTERS, "total"), COLUMNS, strict=True))
"""The columns of the table that the chip's compiler prints, in its order."""
_STEPS = {"us": ((1e6, "s"), (1e3, "ms")), "uJ": ((1e6, "J"), (1e3, "mJ"))}


def rounded(value: float, digits: int = DIGITS) -> str:
    """A number with so many digits that mean something.

    Example:
        >>> rounded(152.84), rounded(0.0567), rounded(1234567, 3), rounded(0)
        ('150', '0.057', '1,230,000', '0')
    """
    if not value:
        return "0"
    place = digits - 1 - math.floor(math.log10(abs(value)))
    place = digits - 1 - math.floor(math.log10(abs(round(value, place))))  # 9.96 has become 10
    return f"{round(value, place):,.{max(place, 0)}f}"


def rounded_count(n: int) -> str:
    """A number of operations: few are shown as they are, many with as many digits as mean something.

    Example:
        >>> rounded_count(0), rounded_count(3), rounded_count(128), rounded_count(141_138)
        ('0', '3', '128', '141,000')
    """
    return f"{round(n, min(0, SHOWN_OPERATIONS - len(str(n)))):,}"


def spread(of: Range, unit: str) -> str:
    """A range and its nominal value, in a unit that suits it.

    Example:
        >>> spread(Range(53.4, 143.2, 305.1), "us"), spread(Range(1162, 1780, 4390), "uJ")
        ('53 to 310 us, nominal 140 us', '1.2 to 4.4 mJ, nominal 1.8 mJ')
    """
    factor, unit = next(((f, name) for f, name in _STEPS.get(unit, ()) if of.nominal >= f), (1.0, unit))
    low, nominal, high = (rounded(bound / factor) for bound in of)
    unit = f" {unit}" if unit else ""
    return f"{nominal}{unit}" if low == nominal == high else f"{low} to {high}{unit}, nominal {nominal}{unit}"


def as_text(plan: Plan) -> str:
    """The whole plan: verdict, table, time, energy, what is assumed."""
    return "\n".join([*_verdict(plan), "", *_table(plan), "", *_costs(plan), "", *_assumed(plan)])


def as_line(plan: Plan) -> str:
    """What a plan says of a network whose samples follow each other, in one line: for cards and tables.

    Example:
        >>> import numpy as np
        >>> from pumice.ir.builder import chain
        >>> from pumice.passes.order import run_passes
        >>> from pumice.planner import plan
        >>> as_line(plan(run_passes(chain((4,), [3], seed=0), sample_steps=5), np.ones((8, 4), int)))
        '1 of 120 cores; 9.3 to 16 us a sample, nominal 14 us; 1.1 to 5.1 uJ at the rails, nominal 3.6 uJ'
    """
    if not plan.fits:
        return f"does not fit: {plan.violations[0]._replace(remedy='')}"
    cores = f"{plan.cores} of {counted(plan.chip_cores * plan.chips, 'core')}"
    if plan.sample is None:
        return cores
    period = Range(*(1e6 / rate for rate in reversed(plan.sample.throughput)))
    energy = spread(plan.sample.energy.chip, "uJ").replace(", nominal", " at the rails, nominal")
    return f"{cores}; {spread(period, 'us').replace(', nominal', ' a sample, nominal')}; {energy}"


def as_table_of_constants(plan: Plan) -> str:
    """Each constant with its range, unit and source: `pumice plan --explain`."""
    lines = []
    for name, c in plan.constants.table.items():
        mark = " (yours)" if name in plan.constants.replaced else ""
        lines += [f"{name}{mark}: {c.value:g} ({c.low:g} to {c.high:g}) {c.unit}", f"    {c.source}"]
    lines += [
        f"board {b.name}: {b.title}, {counted(b.chips, 'chip')}; {b.source}" for b in plan.constants.boards.values()
    ]
    return "\n".join(lines)


def _verdict(plan: Plan) -> Iterator[str]:
    title = plan.board.title
    if plan.fits:
        cores, chips = counted(plan.chip_cores * plan.chips, "core"), counted(plan.chips, "chip")
        yield f"{plan.network}: fits {title}: {plan.cores} of {cores} on {chips}"
        if plan.cores_by_other not in (None, plan.cores):
            whose = "of 2022" if plan.compiler.value == "2023" else "since 2023"
            yield f"    {counted(plan.cores_by_other or 0, 'core')} by the rules of the compilers {whose}"
    else:
        yield f"{plan.network}: does not fit {title}:"
        yield from (f"    {violation}" for violation in plan.violations)
    yield from (f"    warning: {warning}" for warning in plan.warnings)


def _table(plan: Plan) -> list[str]:
    """As the compiler prints it, last layer first; behind it what it does not print."""
    header = ["", *TITLES.values(), "Cores", "tile", "operations", "updates", "", "population"]
    rows = [header, *(_row(plan, row) for row in reversed(plan.layers))]
    rows.append(["", *[""] * len(TITLES), str(plan.cores), "", "", "", "", "all that can be placed"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" |".join(cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False)) for row in rows]
    return [f"{line} | {row[-1]}".lstrip() for line, row in zip(lines, rows, strict=True)]


def _row(plan: Plan, row: LayerRow) -> list[str]:
    percents = []
    for name in TITLES:
        share = 100 * row.largest[name] / plan.constants[BUDGETS[name]].value
        percents.append(("<=" if name == "axon_mem" and share else "") + f"{share:.2f}%")
    operations = "-" if row.operations is None else rounded_count(row.operations)
    tile = "x".join(map(str, row.tile))
    return ["", *percents, str(row.cores), tile, operations, f"{row.updates:,}", row.marks, row.population]


def _costs(plan: Plan) -> Iterator[str]:
    if plan.time is None or plan.io is None or plan.energy is None:
        yield from _without_activity(plan)
        return
    time = plan.time
    source, steps = plan.activity or ("", 0)
    yield f"activity: {source}, {counted(steps, 'step')}"
    yield f"time per step: {spread(time.mean, 'us')}; the busiest step {spread(time.busiest, 'us')}"
    yield (
        f"    set by {time.term} on core {time.core} ({time.population}): "
        f"{rounded_count(time.amount)} in the busiest step"
    )
    yield f"input and output: {plan.io.title}" + (
        f"; {counted(plan.io.values, 'value')} a step, {spread(plan.io.time, 'us')} on top"
        if plan.io.path != "none"
        else ""
    )
    if plan.sample is not None:
        sample = plan.sample
        yield f"latency of a sample: {spread(sample.latency, 'us')}; one every {counted(sample.steps, 'step')}: " + (
            f"{spread(sample.throughput, '')} samples/s"
        )
    yield from _energy("step", plan.energy)
    if plan.sample is not None:
        yield from _energy("sample", plan.sample.energy)


def _energy(what: str, energy: Energy) -> Iterator[str]:
    yield f"energy per {what}:"
    yield f"    dynamic {spread(energy.dynamic, 'uJ')}"
    for boundary, static, total in (
        ("rails of the chips", energy.static_chip, energy.chip),
        ("whole board", energy.static_board, energy.board),
    ):
        yield f"    static, {boundary} {spread(static, 'uJ')}; with dynamic {spread(total, 'uJ')}"


def _without_activity(plan: Plan) -> Iterator[str]:
    if not plan.placement.complete:
        yield "time and energy: of a network whose layers can all be placed only"
        return
    yield "activity: none; give an input to learn time and energy (--input X.npy)"
    for rate, time in plan.at_rates:
        yield f"time per step if {100 * rate:g} % of all neurons and inputs fire: {spread(time, 'us')}"


def _assumed(plan: Plan) -> Iterator[str]:
    yield f"assumed: {ALWAYS[0]}"
    yield from (f"    {line}" for line in [*ALWAYS[1:], *([SEVERAL_CHIPS] if plan.chips > 1 else [])])
    for letter, text, _ in plan.assumptions:
        yield f"    {letter}  {text}"
    if plan.constants.replaced:
        yield f"    your own constants: {', '.join(plan.constants.replaced)}"
