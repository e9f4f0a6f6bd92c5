"""Small charts as SVG, drawn with the page's own colors, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from pumice.reporting.markup import Html, tag

WIDTH, HEIGHT = 440, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 26, 34


class Line(NamedTuple):
    """One curve.

    Attributes:
        name: For the legend.
        values: One for each place, None where there is none.
    """

    name: str
    values: Sequence[float | None]


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers within a range.

    Example:
        >>> ticks(0, 0.93), ticks(1, 12)
        ([0.0, 0.2, 0.4, 0.6, 0.8], [5.0, 10.0])
    """
    if not high > low:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def line_chart(title: str, lines: Sequence[Line], *, x_label: str, shaded_from: int | None, alt: str) -> Html:
    """Curves over whole numbers from 1 on.

    Args:
        title: Above it.
        lines: At least one, with at least one value.
        x_label: Below it.
        shaded_from: The first place of a shaded part.
        alt: What it shows, in words.
    """
    values = [v for line in lines for v in line.values if v is not None and math.isfinite(v)]
    n = max(len(line.values) for line in lines)
    low, high = min(0.0, *values, 0.0), max(*values, 0.0) or 1.0

    def x_of(place: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * ((place - 0.5) / n)

    def y_of(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)

    drawn: list[Html] = []
    if shaded_from is not None:
        x = x_of(shaded_from - 0.5)
        drawn.append(
            tag(
                "rect",
                x=f"{x:.1f}",
                y=TOP,
                width=f"{WIDTH - RIGHT - x:.1f}",
                height=HEIGHT - TOP - BOTTOM,
                class_="shade",
            )
        )
    for value in ticks(low, high):
        y = f"{y_of(value):.1f}"
        drawn.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        drawn.append(tag("text", f"{value:g}", x=LEFT - 6, y=y, dy="0.35em", text_anchor="end"))
    for value in ticks(1, n) if n > 1 else [1]:
        if value == int(value):
            drawn.append(
                tag("text", f"{value:g}", x=f"{x_of(value):.1f}", y=HEIGHT - BOTTOM + 16, text_anchor="middle")
            )
    drawn.append(tag("text", x_label, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 4, text_anchor="middle"))
    for i, line in enumerate(lines):
        points = [
            (x_of(place), y_of(v)) for place, v in enumerate(line.values, 1) if v is not None and math.isfinite(v)
        ]
        drawn.append(tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), class_=f"curve c{i}"))
        if len(points) <= 40:
            drawn += [tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=2.5, class_=f"dot c{i}") for x, y in points]
    legend = tag(
        "p", [tag("span", tag("i", class_=f"key c{i}"), line.name) for i, line in enumerate(lines)], class_="legend"
    )
    picture = tag("svg", drawn, role="img", aria_label=alt, viewBox=f"0 0 {WIDTH} {HEIGHT}", class_="chart")
    return tag("figure", tag("figcaption", title), picture, legend)


def scatter(title: str, points: Sequence[tuple[float, float]], *, x_label: str, y_label: str, alt: str) -> Html:
    """Points, and the line on which both numbers are equal."""
    numbers = [v for point in points for v in point]
    low, high = min(numbers), max(numbers)
    high = high if high > low else low + 1.0
    side = 300

    def at(value: float) -> float:
        return (side - LEFT - RIGHT) * (value - low) / (high - low)

    drawn = [tag("line", x1=LEFT, y1=side - BOTTOM, x2=side - RIGHT, y2=side - BOTTOM - at(high), class_="grid")]
    for value in ticks(low, high, 6):
        place = at(value)
        drawn.append(tag("text", f"{value:g}", x=f"{LEFT + place:.1f}", y=side - BOTTOM + 15, text_anchor="middle"))
        drawn.append(
            tag("text", f"{value:g}", x=LEFT - 6, y=f"{side - BOTTOM - place:.1f}", dy="0.35em", text_anchor="end")
        )
    drawn += [
        tag("circle", cx=f"{LEFT + at(x):.1f}", cy=f"{side - BOTTOM - at(y):.1f}", r=2.5, class_="dot c0")
        for x, y in points
    ]
    drawn.append(tag("text", x_label, x=(LEFT + side) / 2, y=side - 4, text_anchor="middle"))
    drawn.append(tag("text", y_label, x=LEFT, y=12, text_anchor="middle"))
    picture = tag("svg", drawn, role="img", aria_label=alt, viewBox=f"0 0 {side} {side}", class_="chart square")
    return tag("figure", tag("figcaption", title), picture)


def bars(counts: Sequence[int], *, alt: str) -> Html:
    """A histogram as small as a word."""
    most = max(counts) or 1
    width = 4
    drawn = [
        tag("rect", x=i * width, y=f"{20 - h:.1f}", width=width - 1, height=f"{h:.1f}")
        for i, count in enumerate(counts)
        if (h := max(20 * count / most, 0.7 if count else 0.0))
    ]
    return tag(
        "svg",
        drawn,
        role="img",
        aria_label=alt,
        viewBox=f"0 0 {width * len(counts)} 20",
        class_="bars",
        width=width * len(counts),
    )


def share(value: float, text: str) -> Html:
    """A cell of a table with a bar as long as a share."""
    return tag("td", tag("span", text, class_="share", style=f"--share:{100 * min(max(value, 0.0), 1.0):.1f}%"))
