"""The report's pictures, one function each."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pumice.ir import flatten_whc
from pumice.pipeline import PipelineResult
from pumice.pipeline.compare import windows
from pumice.report.style import BLUE, INK, MUTED, ORANGE, SHADE, Picture, figure, picture, styled
from pumice.train import EpochRecord
from pumice.train.history import FINETUNE

IntArray = npt.NDArray[np.integer[Any]]


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


def learning_curve(history: tuple[EpochRecord, ...]) -> Picture:
    """Loss and error over the epochs of both phases."""
    n_float = sum(record.phase != FINETUNE for record in history)
    first, last = history[0], history[-1]
    alt = (
        f"Two line charts over {len(history)} epochs. Training loss goes from {first.loss:.3f} to {last.loss:.3f}; "
        f"test errors from {_mistakes(first):.1f} % to {_mistakes(last):.1f} %."
    )
    with styled():
        return picture(
            draw_learning_curve(history),
            alt=alt,
            caption=f"{n_float} epochs in real numbers; {len(history) - n_float} more (shaded) through the chip's "
            "integers. The test split is shown, never used to choose anything.",
        )


def _mistakes(record: EpochRecord) -> float:
    """Of the test split, in per cent; the report is about classes."""
    assert record.test_accuracy is not None
    return 100 * (1 - record.test_accuracy)


def confusion(labels: IntArray, predictions: IntArray, class_names: tuple[str, ...]) -> Picture:
    """Which class was taken for which."""
    n = len(class_names)
    counts = np.zeros((n, n), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    mistakes = counts * (1 - np.eye(n, dtype=np.int64))
    with styled():
        fig = figure(4.6, 4.5)
        axes: Axes = fig.subplots()
        share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                wrong = row != column
                colour = ORANGE if wrong else ("white" if share[row, column] > 0.5 else INK)
                weight = "bold" if wrong else "normal"
                axes.text(
                    column, row, str(count), ha="center", va="center", color=colour, weight=weight, fontsize=8.5
                )
        axes.set(xticks=range(n), yticks=range(n), xlabel="answer of the deployed network", ylabel="true class")
        axes.set_xticklabels(class_names)
        axes.set_yticklabels(class_names)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        wrong_pairs = [
            f"{class_names[i]} as {class_names[j]} {mistakes[i, j]} times" for i, j in np.argwhere(mistakes)
        ]
        alt = f"Confusion matrix of {len(labels)} samples; mistakes: {', '.join(wrong_pairs) or 'none'}."
        return picture(fig, alt=alt, caption=f"{len(labels)} test samples, {int(mistakes.sum())} of them mistaken.")


def firing_rates(result: PipelineResult) -> Picture:
    """Mean firing rate of each population over the test split."""
    rates = {name: 100 * rate for name, rate in result.on_test.firing_rates.items()}
    with styled():
        fig = figure(4.6, 0.9 + 0.5 * len(rates))
        axes: Axes = fig.subplots()
        bars = axes.barh(list(rates), list(rates.values()), color=BLUE, height=0.6)
        axes.bar_label(bars, fmt="%.1f %%", padding=4)
        axes.invert_yaxis()
        axes.set(xlabel="spikes per neuron and step, in %", xlim=(0, 1.25 * max(*rates.values(), 1.0)))
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        listed = ", ".join(f"{name} {rate:.1f} %" for name, rate in rates.items())
        return picture(fig, alt=f"Bar chart of firing rates: {listed}.", caption="Mean over the whole test split.")


def raster(result: PipelineResult, sample: int) -> Picture:
    """One sample on its way through the network: every neuron of every layer at every step."""
    shown = result.on_test
    layers = {"input": _flat(shown.samples[sample])}
    for name, spikes in windows(result.graph, shown.records, len(shown.samples)).items():
        layers[name] = _flat(spikes[sample])
    steps = len(layers["input"])
    with styled():
        fig = figure(9.8, 0.35 + (0.72 + 0.085 * steps) * len(layers))
        for axes, (name, values) in zip(np.atleast_1d(fig.subplots(len(layers), 1)), layers.items(), strict=True):
            low, top = min(0, int(values.min())), max(1, int(values.max()))
            shades = "Greys" if name == "input" else "Blues"
            if low < 0:  # numbers of either sign: white is 0
                low, top, shades = -max(-low, top), max(-low, top), "RdBu"
            axes.pcolormesh(values, cmap=shades, vmin=low, vmax=top, rasterized=True)
            axes.invert_yaxis()
            shape = result.graph.shape_of(result.graph.input.name if name == "input" else name)
            what = f"grey levels 0 to {top}" if name == "input" else _content(values)
            axes.set_title(f"{name}: {values.shape[1]} {'pixels' if name == 'input' else 'neurons'}, {what}")
            axes.set(ylabel="step", yticks=(0.5, steps - 0.5), yticklabels=(1, steps))
            _channel_ticks(axes, shape, values.shape[1])
        label = result.trained.dataset.class_names[int(result.trained.dataset.test.labels[sample])]
        answer = result.trained.dataset.class_names[int(result.predictions[sample])]
        contents = ", ".join(f"{name} {_content(v)}" for name, v in layers.items() if name != "input")
        return picture(
            fig,
            alt=f"Raster of test sample {sample}, a {label}, over {steps} steps. {contents}. Answer: {answer}.",
            caption=f"Test sample {sample}, a “{label}”, answered “{answer}”. Time runs down, each column is a "
            "neuron; each layer is shown from the step on which the sample reaches it.",
            kind="png",
        )


def _content(values: IntArray) -> str:
    if values.min() < 0 or values.max() > 1:
        return f"values {values.min()} to {values.max()}"
    return f"{values.sum()} spikes"


def _flat(windows: IntArray) -> IntArray:
    """(T, *shape) -> (T, n), channel slowest."""
    return np.stack([flatten_whc(step) for step in windows])


def _channel_ticks(axes: Axes, shape: tuple[int, ...], size: int) -> None:
    if len(shape) == 3 and shape[2] > 1:
        per_channel = size // shape[2]
        every = max(1, shape[2] // 16)
        axes.set_xticks(np.arange(0, size + 1, per_channel * every))
        axes.set_xticklabels([str(channel) for channel in range(0, shape[2] + 1, every)])
        axes.set_xlabel("channel")
    elif len(shape) == 3:
        axes.set_xlabel("pixel, row by row")
    elif size <= 20:
        axes.set_xticks(np.arange(size) + 0.5)
        axes.set_xticklabels([str(index) for index in range(size)])
        axes.set_xlabel("neuron")
