"""A graph as a picture: one row of boxes for each latency, arrows for synapses (needs matplotlib).

Rows and not columns, because a box of text is wide and low: a network of forty layers is read by scrolling down.
`layered` orders the boxes of a row so that few arrows cross, and leads long arrows past the boxes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Route

from pumice.cli.layered import layered
from pumice.errors import InputError
from pumice.files.write import replace_atomically
from pumice.fixedpoint.formats import DELAY_STEPS
from pumice.ir import Graph, Population, Synapse, latencies
from pumice.names import counted

Point = tuple[float, float]

BOX_WIDTH, BOX_HEIGHT = 2.1, 0.62
COLUMN, ROW = 2.5, 1.35
"""Inches from box to box."""
INK, MUTED, BAND = "#1d2733", "#5b6773", "#f4f6f9"
COLORS = {
    "Input": "#ffffff",
    "Cuba": "#dce9f8",
    "Accumulator": "#d8f0e0",
    "Resonator": "#f9e3d3",
    "Sigma": "#ece1f5",
    "Delta": "#ece1f5",
    "SigmaDelta": "#ece1f5",
}
LONGEST_NAME = 26
_STYLE: Any = {
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 8,
    "svg.fonttype": "none",  # names can be searched for and copied
    "svg.hashsalt": "pumice",
}


@dataclass(frozen=True)
class Layout:
    """Where things are, in inches, y downwards.

    Attributes:
        places: Middle of each box.
        routes: For each pair of a source and a later target, the points between which its arrow bends.
        rows: y of each row and the latency that it stands for.
    """

    places: dict[str, Point]
    routes: dict[tuple[str, str], list[Point]]
    rows: list[tuple[float, int]]


def save_picture(graph: Graph, path: Path) -> None:
    """Draw `graph` and write it as an SVG file, whole or not at all.

    Args:
        graph: A valid graph.
        path: Its name must end in .svg.

    Raises:
        InputError: It does not, or cannot be written.
    """
    if path.suffix != ".svg":
        raise InputError(f"--plot must name a file that ends in .svg, got {str(path)!r}")
    with rc_context(_STYLE):
        figure = draw(graph)
        with replace_atomically(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})


def draw(graph: Graph) -> Figure:
    """The graph as a figure; its text is 8 points high however large the graph is."""
    layout = arrange(graph)
    xs, ys = zip(*layout.places.values(), *(p for route in layout.routes.values() for p in route), strict=True)
    left, right = min(xs) - BOX_WIDTH / 2 - 1.1, max(xs) + BOX_WIDTH / 2 + 2.2
    top, bottom = min(ys) - BOX_HEIGHT, max(ys) + BOX_HEIGHT
    figure = Figure(figsize=(right - left, bottom - top))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, right), ylim=(bottom, top))
    axes.set_axis_off()
    for index, (y, latency) in enumerate(layout.rows):
        if index % 2 == 0:
            axes.axhspan(y - ROW / 2, y + ROW / 2, color=BAND, zorder=0)
        axes.text(left + 0.1, y, f"latency {latency}", color=MUTED, va="center")
    _arrows(axes, graph, layout)
    for name, place in layout.places.items():
        _box(axes, graph, name, place)
    return figure


def arrange(graph: Graph) -> Layout:
    """Place the boxes row by row, the input on top, and find a way for each arrow."""
    names = graph.names
    steps = latencies(graph)
    # A population fed directly has the input's latency, and yet is drawn below it.
    ranks = {name: (steps[name], name != graph.input.name) for name in names}
    levels = sorted(set(ranks.values()))
    pairs = sorted({(s.source, s.target) for s in graph.synapses if ranks[s.source] < ranks[s.target]})
    rows = [levels.index(ranks[name]) for name in names]
    xs, bends = layered(rows, [(names.index(a), names.index(b)) for a, b in pairs], COLUMN)
    found = {name: (x, ROW * row) for name, x, row in zip(names, xs, rows, strict=True)}
    routes = {
        pair: [found[pair[0]], *((x, ROW * row) for x, row in way), found[pair[1]]]
        for pair, way in zip(pairs, bends, strict=True)
    }
    return Layout(found, routes, [(ROW * i, latency) for i, (latency, _) in enumerate(levels)])


def _box(axes: Axes, graph: Graph, name: str, place: Point) -> None:
    x, y = place
    is_input = name == graph.input.name
    lines = _input_text(graph) if is_input else _population_text(graph.population(name))
    kind = "Input" if is_input else type(graph.population(name)).__name__
    box = FancyBboxPatch(
        (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2),
        BOX_WIDTH,
        BOX_HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.08",
        facecolor=COLORS.get(kind, "#ffffff"),
        edgecolor=INK,
        linewidth=2.2 if name in graph.outputs else 0.9,
        linestyle="--" if is_input else "-",
        zorder=3,
    )
    axes.add_patch(box)
    axes.text(x, y - 0.17, _short(name), weight="bold", color=INK, ha="center", va="center", zorder=4)
    for row, line in enumerate(lines):
        axes.text(x, y + 0.02 + 0.17 * row, line, color=INK, ha="center", va="center", fontsize=7, zorder=4)
    if is_input or name in graph.outputs:
        mark = "input" if is_input else f"output {graph.outputs.index(name) + 1}"
        axes.text(x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2 - 0.09, mark, color=MUTED, va="center", fontsize=7, zorder=4)


def _input_text(graph: Graph) -> list[str]:
    bounds = graph.input.value_range
    size = f"{_shape(graph.input.shape)} · {counted(graph.input.size, 'value')}"
    return [size, "any values" if bounds is None else f"values {bounds[0]} to {bounds[1]}"]


def _population_text(p: Population) -> list[str]:
    size = f"{type(p).__name__} {_shape(p.shape)} · {p.size} neuron{'s' if p.size > 1 else ''}"
    return [size, "no reset" if p.reset is None else f"reset each {p.reset.interval} at {p.reset.offset}"]


def _arrows(axes: Axes, graph: Graph, layout: Layout) -> None:
    labels: dict[tuple[str, str], list[str]] = defaultdict(list)
    for synapse in graph.synapses:
        labels[synapse.source, synapse.target].append(_synapse_text(synapse))
    for pair, texts in labels.items():
        points = layout.routes.get(pair)
        if points is None:
            _backward(axes, layout.places[pair[0]], layout.places[pair[1]], "\n".join(texts))
        else:
            _forward(axes, points, "\n".join(texts))


def _forward(axes: Axes, points: list[Point], label: str) -> None:
    """An arrow from the bottom of a box to the top of one below, curved where it bends."""
    start = (points[0][0], points[0][1] + BOX_HEIGHT / 2)
    end = (points[-1][0], points[-1][1] - BOX_HEIGHT / 2)
    corners = [start, *points[1:-1], end]
    vertices, codes = [start], [Route.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(corners):
        middle = (y0 + y1) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Route.CURVE4] * 3
    arrow = FancyArrowPatch(
        path=Route(vertices, codes), arrowstyle="-|>", mutation_scale=9, color=MUTED, linewidth=1, zorder=2
    )
    axes.add_patch(arrow)
    if len(points) > 2:  # beside the long way down
        x, y = points[1]
    else:
        x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    _label(axes, x + 0.06, y, label)


def _backward(axes: Axes, source: Point, target: Point, label: str) -> None:
    """A recurrent arrow, curved, from the right side of a box to that of its target."""
    start, end = ((x + BOX_WIDTH / 2, y) for x, y in (source, target))
    rise = 0.16 if source == target else 0.0
    bulge = 0.45 + 0.12 * abs(source[1] - target[1])
    x = max(start[0], end[0]) + bulge
    route = Route(
        [(start[0], start[1] + rise), (x, start[1] + rise), (x, end[1] - rise), (end[0], end[1] - rise)],
        [Route.MOVETO, Route.CURVE4, Route.CURVE4, Route.CURVE4],
    )
    arrow = FancyArrowPatch(path=route, arrowstyle="-|>", mutation_scale=9, color=INK, linewidth=1, zorder=2)
    axes.add_patch(arrow)
    _label(axes, x - 0.05, (start[1] + end[1]) / 2, label)


def _label(axes: Axes, x: float, y: float, text: str) -> None:
    background = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
    axes.text(x, y, text, fontsize=6.5, color=INK, va="center", bbox=background, zorder=2.5)


def _synapse_text(s: Synapse) -> str:
    """Kind and weight, then what is unusual, in a line of its own."""
    weight = getattr(s, "weight", getattr(s, "values", None))
    sizes = "" if weight is None or np.ndim(weight) == 0 else f" {_shape(np.shape(weight))}"
    delays = getattr(s, "delay_steps", 0)
    low, high = int(np.min(delays, initial=DELAY_STEPS.high)), s.max_delay_steps
    notes = [
        "graded" * s.graded,
        f"delay {low} to {high}" if low < high else f"delay {high}" * (high > 0),
        f"balance {s.balance_steps}" * (s.balance_steps > 0),
        "" if s.target_channels is None else f"into channels {s.target_channels[0]} to {s.target_channels[1] - 1}",
        "imaginary part" * (s.part == "imag"),
    ]
    more = ", ".join(note for note in notes if note)
    return f"{type(s).__name__}{sizes}" + (f"\n{more}" if more else "")


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
