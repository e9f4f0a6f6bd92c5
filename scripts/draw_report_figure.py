"""Draw docs/figures/report-sample.svg: what the viewer of a report shows of one digit, in one step.

Run: uv run python scripts/draw_report_figure.py docs/figures/report-sample.svg
"""

import sys
from pathlib import Path

import numpy as np

import pumice
from pumice.reporting.markup import Html, tag
from pumice.reporting.measure import record_samples
from pumice.reporting.sources import certificate_samples

NETWORK = Path(__file__).parents[1] / "netx_exports" / "digits" / "network.net"
STEP, SIDE, GAP, WIDTH = 2, 5, 4, 640
INK, MUTED, SPIKE, GROUND, NOW = "#1d2733", "#52606d", "#1f5fa8", "#eef2f7", "#b3500f"


def plane(values: np.ndarray, x: float, y: float, side: float, colors: dict[int, str]) -> list[Html]:
    """One channel of shape (x, y): the ground, and a square for each value other than 0."""
    width, height = values.shape
    squares = [tag("rect", x=x, y=y, width=width * side, height=height * side, fill=colors[0])]
    for column, row in np.argwhere(values):
        square = {"x": x + column * side, "y": y + row * side, "width": side, "height": side}
        squares.append(tag("rect", **square, fill=colors[int(values[column, row])]))
    return squares


def main(path: Path) -> None:
    graph = pumice.load(NETWORK)
    recorded = {name: spikes[0] for name, (spikes, _) in record_samples(graph, certificate_samples(graph)).items()}
    greys = {v: f"#{round(255 * v / 16):02x}{round(255 * v / 16):02x}{round(255 * v / 16):02x}" for v in range(17)}
    drawn: list[Html] = []
    y = 22.0
    for name, spikes in recorded.items():
        is_input = name == graph.input.name
        said = f"{name}: {' × '.join(map(str, spikes.shape[1:]))}"
        said += (
            "" if is_input else f", {int(spikes[STEP].sum())} spikes in step {STEP + 1}, {int(spikes.sum())} in all"
        )
        drawn.append(tag("text", said, x=0, y=y - 6, fill=INK, font_weight="bold"))
        if spikes.ndim == 2:
            for step, neuron in np.ndindex(spikes.shape):
                color = SPIKE if spikes[step, neuron] else GROUND
                drawn.append(tag("rect", x=step * 40, y=y + neuron * 9, width=39, height=8, fill=color))
            drawn.append(tag("rect", x=STEP * 40, y=y, width=39, height=89, fill="none", stroke=NOW, stroke_width=2))
            y += 89
        else:
            side = 9 if is_input else SIDE
            width, height, channels = spikes.shape[1:]
            columns = max(1, int(WIDTH // (width * side + GAP)))
            colors = greys if is_input else {0: GROUND, 1: SPIKE}
            for channel in range(channels):
                place = (channel % columns) * (width * side + GAP), y + (channel // columns) * (height * side + GAP)
                drawn += plane(spikes[STEP, ..., channel], *place, side, colors)
            y += -(-channels // columns) * (height * side + GAP)
        y += 30
    alt = "A digit on its way through two convolutions to ten output neurons, in step 3 of 8"
    paper = tag("rect", x=0, y=0, width=WIDTH, height=y - 16, fill="#ffffff")
    picture = tag(
        "svg", paper, drawn, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {y - 16:g}", role="img",
        aria_label=alt, font_family="DejaVu Sans, sans-serif", font_size=12,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(picture + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
