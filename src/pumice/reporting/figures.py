"""A training's curves as a figure for papers and slides; reports draw their own, see `charts`."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pumice.reporting.style import BLUE, MUTED, ORANGE, SHADE, figure
from pumice.train import EpochRecord
from pumice.train.history import FINETUNE


def draw_learning_curve(history: tuple[EpochRecord, ...]) -> Figure:
    """Loss and errors over the epochs of both phases, on a figure to be shown or saved within `styled`."""
    x = np.arange(1, len(history) + 1)
    n_float = sum(record.phase != FINETUNE for record in history)
    fig = figure(9.6, 3.1)
    left, right = fig.subplots(1, 2)
    left.plot(x, [record.loss for record in history], color=BLUE, marker="o", markersize=3)
    left.set(title="Training loss", xlabel="epoch", yscale="log")
    right.plot(x, [100 * (1 - (r.train_accuracy or 0.0)) for r in history], color=BLUE, marker="o", markersize=3)
    right.plot(x, [_mistakes(r) for r in history], color=ORANGE, marker="s", markersize=3)
    right.set(title="Errors in %", xlabel="epoch", ylim=(0, None))
    right.legend(["training split, while learning", "test split, after the epoch"])
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if n_float < len(history):
            axes.axvspan(n_float + 0.5, len(history) + 0.5, color=SHADE, zorder=0)
            middle = (n_float + len(history) + 1) / 2
            above = axes.get_xaxis_transform()
            axes.text(middle, 1.02, "chip's integers", transform=above, ha="center", color=MUTED, fontsize=8)
    return fig


def _mistakes(record: EpochRecord) -> float:
    """Of the test split, in per cent; the curves are about classes."""
    assert record.test_accuracy is not None
    return 100 * (1 - record.test_accuracy)
