"""The report of an import: what was decided, what was rounded, and what that changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pumice.names import counted


@dataclass(frozen=True)
class LayerReport:
    """What became of one layer.

    Attributes:
        name: Of the NIR node.
        kind: Population.
        neurons: Number of them.
        scale: Integers per threshold (per unit where nothing fires).
        weight_error: Largest difference of a weight from the file's, as a share of the layer's largest weight.
        decay_error: Largest difference of a decay, per step.
        notes: What else was decided.
    """

    name: str
    kind: str
    neurons: int
    scale: int
    weight_error: float
    decay_error: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Heading:
    """How the file was read.

    Attributes:
        path: The file.
        dt: Time step.
        decay: "euler" or "exponential".
        weights: "8bit" or "split".
        note: A line about where it is from, or nothing.
    """

    path: str
    dt: float
    decay: str
    weights: str
    note: str = ""


@dataclass(frozen=True)
class Deviation:
    """One layer's spikes beside those of the float simulation.

    Attributes:
        name: The layer.
        differ: Neurons and steps in which they are not equal.
        entries: Neurons times steps times samples.
        expected: Spikes of the float simulation.
        got: Spikes of the graph.
    """

    name: str
    differ: int
    entries: int
    expected: int
    got: int


@dataclass(frozen=True)
class Answers:
    """How many of the user's samples are answered right.

    Attributes:
        samples: How many there are.
        expected: Right in a float simulation of the file.
        got: Right in the graph.
    """

    samples: int
    expected: int
    got: int


def report_text(
    heading: Heading,
    layers: Sequence[LayerReport],
    deviations: Sequence[Deviation],
    ranges: Sequence[str],
    answers: Answers | None = None,
) -> str:
    """All of it, as lines to print."""
    lines = [
        f"{heading.path}: dt = {heading.dt:g}, {heading.decay} decays, {heading.weights} weights.",
        "Read as hard reset and v > v_threshold, as NIR defines; the file cannot say otherwise. "
        "If its simulator resets by "
        "subtraction (snnTorch's and sinabs' default), this is another network.",
    ]
    lines += [heading.note] if heading.note else []
    for layer in layers:
        lines.append(
            f"{layer.name}: {layer.kind}, {counted(layer.neurons, 'neuron')}, {counted(layer.scale, 'integer')} per "
            f"threshold; weights off by at "
            f"most {layer.weight_error:.2%} of the largest, decays by {layer.decay_error:.2g}"
        )
        lines += [f"  {note}" for note in layer.notes]
    if deviations:
        lines.append("On the data given, against a float simulation of the file:")
    for d in deviations:
        share = d.differ / d.entries
        lines.append(
            f"  {d.name}: {d.differ} of {d.entries} differ ({share:.3%}); spikes {d.got} for {d.expected}, "
            f"rate {d.got / d.entries:.4f}"
        )
    if answers is not None:
        got, expected, n = answers.got, answers.expected, answers.samples
        lines.append(
            f"Answered right: {got} of {n} ({got / n:.2%}); {expected} ({expected / n:.2%}) in floating point."
        )
    lines += [f"Range: {line}" for line in ranges]
    return "\n".join(lines)
