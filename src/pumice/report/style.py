"""How every figure looks: colours that differ in lightness too, and an image that needs no other file."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it.

    Attributes:
        uri: The image itself, as a data URI.
        alt: What it shows, for those who do not see it.
        caption: One line below it.
    """

    uri: str
    alt: str
    caption: str


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


def picture(fig: Figure, *, alt: str, caption: str, kind: str = "svg") -> Picture:
    """Render a figure.

    Args:
        fig: The figure.
        alt: Alternative text.
        caption: One line.
        kind: "svg" for lines and text, "png" for dense images.
    """
    buffer = io.BytesIO()
    if kind == "svg":
        fig.savefig(buffer, format="svg", metadata={"Date": None})
    else:
        fig.savefig(buffer, format=kind, dpi=130)
    mime = "image/svg+xml" if kind == "svg" else f"image/{kind}"
    return Picture(f"data:{mime};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}", alt, caption)
