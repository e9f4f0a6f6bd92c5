"""A sweep as one picture: for each key, the validation figure over its values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from pumice.files.write import replace_atomically
from pumice.sweep.space import Range
from pumice.sweep.study import Sweep

_STYLE: Any = {"font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "pumice"}
INK, BEST = "#33577b", "#c4512d"


def save_picture(sweep: Sweep, path: Path) -> None:
    """Write an SVG file with a panel for each key: a point for each trial that ended well, the best one marked.

    Raises:
        InputError: It cannot be written.
    """
    best, done = sweep.best(), [trial for trial in sweep.trials() if trial.value is not None]
    with rc_context(_STYLE), replace_atomically(path) as temporary:
        figure = Figure(figsize=(2.6 * len(sweep.space) + 0.6, 2.6), layout="constrained")
        for axes, (key, what) in zip(
            figure.subplots(1, len(sweep.space), sharey=True, squeeze=False)[0], sweep.space.items(), strict=True
        ):
            for trial in done:
                value, marked = trial.settings[key], trial == best
                x = value if isinstance(what, Range) else what.values.index(json.dumps(value))
                axes.plot(x, trial.value, "o", ms=4 + 3 * marked, color=BEST if marked else INK, zorder=2 + marked)
            if not isinstance(what, Range):
                axes.set_xticks(range(len(what.values)), what.values)
                axes.set_xlim(-0.5, len(what.values) - 0.5)
            elif what.log:
                axes.set_xscale("log")
            axes.set_xlabel(key)
            axes.grid(visible=True, color="#dddddd", linewidth=0.5)
        figure.axes[0].set_ylabel("validation")
        figure.savefig(temporary, format="svg", metadata={"Date": None})
