"""A plan as one page: a picture of the chips' cores, and the text."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pumice.files.folders import make_folder
from pumice.files.write import replace_atomically
from pumice.names import counted
from pumice.planner.activity import Floats
from pumice.planner.plans import Plan
from pumice.planner.text import rounded

COLUMNS = 12
CELL = 44
GAP = 4
PALE, DEEP = (238, 242, 247), (31, 95, 168)
HOT = "#b3500f"
_STYLE = """
svg { max-width: 100%; height: auto; }
body { font: 15px/1.5 "DejaVu Sans", Verdana, sans-serif; color: #1d2733; max-width: 76em; margin: 2em auto; }
pre { font: 12px/1.45 "DejaVu Sans Mono", monospace; overflow-x: auto; }
svg text { font: 11px "DejaVu Sans", Verdana, sans-serif; text-anchor: middle; pointer-events: none; }
td, th { padding: 0.1em 0.9em 0.1em 0; text-align: right; } td:nth-child(2), th:nth-child(2) { text-align: left; }
p.note { color: #5b6773; }
"""


def write_page(plan: Plan, folder: str | os.PathLike[str]) -> Path:
    """Write `plan.html`, which needs no other file and no network.

    Args:
        plan: Of `pumice.plan`.
        folder: Made if it is not there.

    Returns:
        The page's path.

    Raises:
        InputError: It cannot be written.
    """
    make_folder(Path(folder))
    path = Path(folder) / "plan.html"
    with replace_atomically(path) as temporary:
        temporary.write_text(as_page(plan), encoding="utf-8")
    return path


def as_page(plan: Plan) -> str:
    """The page."""
    title = html.escape(f"{plan.network} on {plan.board.title}")
    body = "\n".join([*pictures(plan), *legend(plan)])
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n{body}\n"
        f"<pre>{html.escape(str(plan))}</pre>\n</body></html>\n"
    )


def core_loads(plan: Plan) -> tuple[Floats, str]:
    """One number for each core, and what it is: operations in a step or, where nothing was run, filled memory."""
    if plan.counts is not None:
        return plan.counts.operations.mean(0), "synaptic operations per step (mean)"
    words = np.zeros(plan.placement.cores)
    for placed in plan.placement.layers:
        words[placed.first_core : placed.first_core + placed.cores] = placed.split.registers.total
    return words, "words of memory in use"


def pictures(plan: Plan, *, level: int = 2) -> Iterator[str]:
    """Each chip's cores as SVG, each with a heading of this level, and below what is seen."""
    loads, what = core_loads(plan)
    for chip in range(plan.chips):
        first = chip * plan.chip_cores
        title = f"Chip {chip}" if plan.chips > 1 else "Cores"
        yield f"<h{level}>{title}</h{level}>"
        yield _chip(plan, loads, range(first, first + plan.chip_cores))
    hot = f"; the core with the orange frame sets the time: {_hot_spot(plan)}" if plan.time is not None else ""
    yield f'<p class="note">The number is the population\'s; the darker, the more {html.escape(what)}{hot}.</p>'


def _chip(plan: Plan, loads: Floats, cores: range) -> str:
    rows = -(-len(cores) // COLUMNS)
    width, height = COLUMNS * CELL + GAP, rows * CELL + GAP
    busy = sum(core < len(loads) for core in cores)
    cells = "\n".join(_cell(plan, loads, core, i) for i, core in enumerate(cores))
    label = f"{busy} of {counted(len(cores), 'core')} in use"
    return (
        f'<svg role="img" aria-label="{label}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">\n{cells}\n</svg>'
    )


def _cell(plan: Plan, loads: Floats, core: int, index: int) -> str:
    x, y = GAP + index % COLUMNS * CELL, GAP + index // COLUMNS * CELL
    side = CELL - GAP
    box = f'<rect x="{x}" y="{y}" width="{side}" height="{side}" rx="4"'
    if core >= len(loads):
        return f'{box} fill="none" stroke="#d5dce4"><title>core {core}: free</title></rect>'
    number = next(i for i, p in enumerate(plan.placement.layers) if p.first_core <= core < p.first_core + p.cores)
    share = float(loads[core] / loads.max()) if loads.max() else 0.0
    fill = "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(PALE, DEEP, strict=True))
    frame = f' stroke="{HOT}" stroke-width="4"' if plan.time is not None and core == plan.time.core else ""
    name = html.escape(plan.placement.layers[number].name)
    ink = "#ffffff" if share > 0.5 else "#1d2733"
    return (
        f'{box} fill="{fill}"{frame}><title>core {core}: {name}, {rounded(float(loads[core]), 3)}</title></rect>'
        f'<text x="{x + side / 2:g}" y="{y + side / 2 + 4:g}" fill="{ink}">{number + 1}</text>'
    )


def _hot_spot(plan: Plan) -> str:
    assert plan.time is not None
    return html.escape(f"core {plan.time.core} ({plan.time.population}), {plan.time.term}")


def legend(plan: Plan) -> Iterator[str]:
    """A table of what the numbers in the cores stand for."""
    yield "<table><tr><th></th><th>population</th><th>neurons</th><th>cores</th><th>first core</th></tr>"
    for i, row in enumerate(plan.layers):
        name = html.escape(row.population)
        cells = (i + 1, name, f"{row.neurons:,}", row.cores, row.first_core)
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    yield "</table>"
