"""How every figure looks: colors that differ in lightness, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

INK = "#1d2733"
MUTED = "#5b6773"
BLUE = "#1f5fa8"
ORANGE = "#b3500f"
SHADE = "#eef2f7"

_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "svg.hashsalt": "pumice",
}


def figure(width: float, height: float) -> Figure:
    """An empty figure, in inches; not registered with pyplot, so nothing has to be closed."""
    return Figure(figsize=(width, height), layout="constrained")


def styled() -> Any:
    """The context in which figures are drawn and rendered."""
    return rc_context(_RC)


def save(fig: Figure, path: str | Path) -> None:
    """Write a figure to a file, of the kind that its name says; without a date, so that it can be made again."""
    is_svg = Path(path).suffix == ".svg"
    fig.savefig(path, metadata={"Date": None} if is_svg else None)
