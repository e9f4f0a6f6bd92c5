"""What the page's viewer of samples draws, packed so that a page does not grow without bound."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.formats import STATE_EXP
from pumice.ir import Graph, flatten_whc
from pumice.reporting.findings import Findings, ShownSample

IntArray = npt.NDArray[np.integer[Any]]

SHOWN_STEPS = 256
SHOWN_LAYERS = 32
SHOWN_NEURONS = 16_384
"""Of one population: its first channels, or its first neurons."""
SPIKE_BYTES = 2_000_000
"""Of all spikes and values of a page, before base64; fewer samples, and then fewer steps, are shown beyond."""
STATE_BYTES = 1_000_000
"""Of all states: those of small populations first."""


def viewer_data(found: Findings) -> dict[str, Any]:
    """Plain values for JSON: layers, and of each sample what every layer sent in each step.

    Values have the order (step, neuron), neurons with the channel slowest, then y, then x. Spikes are single bits,
    the first in the lowest; other values the smallest of 1, 2 and 4 bytes with sign, little-endian.
    """
    graph = found.source.graph
    reached = [layer.name for layer in found.layers if layer.name in found.shown[0].spikes]
    names = shown_layers(reached)
    shapes = {name: shown_shape(graph.shape_of(name)) for name in names}
    samples = list(found.shown)
    steps = min(SHOWN_STEPS, len(samples[0].spikes[graph.input.name]))
    kinds = {name: _kind([s.spikes[name] for s in samples]) for name in names}
    per_step = sum(_bytes(kinds[name], int(np.prod(shapes[name]))) for name in names)
    samples = samples[: max(1, SPIKE_BYTES // (steps * per_step))]
    steps = max(1, min(steps, SPIKE_BYTES // (len(samples) * per_step)))
    states = _states(samples, names, shapes, steps)
    return {
        "steps": steps,
        "allSteps": len(found.shown[0].spikes[graph.input.name]),
        "samples": [sample.title for sample in samples],
        "layers": [_layer(found, graph, name, shapes[name], samples, steps, kinds[name], states) for name in names],
        "hidden": len(reached) - len(names),
    }


def shown_layers(names: Sequence[str]) -> list[str]:
    """The first and the last of a long list.

    Example:
        >>> len(shown_layers([str(i) for i in range(100)])), shown_layers(["a", "b"])
        (32, ['a', 'b'])
    """
    if len(names) <= SHOWN_LAYERS:
        return list(names)
    half = SHOWN_LAYERS // 2
    return [*names[:half], *names[-half:]]


def shown_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The part of a population that is shown: the first channels of an image, or the first neurons.

    Example:
        >>> shown_shape((64, 64, 16)), shown_shape((100_000,)), shown_shape((8, 8, 2))
        ((64, 64, 4), (16384,), (8, 8, 2))
    """
    if len(shape) != 3:
        return (min(int(np.prod(shape)), SHOWN_NEURONS),)
    width, height, channels = shape
    return (width, height, max(1, min(channels, SHOWN_NEURONS // (width * height))))


def _cut(values: IntArray, shape: tuple[int, ...], steps: int) -> IntArray:
    """(T, *all) -> (steps, neurons that are shown)."""
    if len(shape) == 3:
        return np.stack([flatten_whc(step[..., : shape[2]]) for step in values[:steps]])
    return values[:steps].reshape(min(steps, len(values)), -1)[:, : shape[0]]


def _kind(arrays: Sequence[IntArray]) -> str:
    low, high = (int(f(f(a) for a in arrays)) for f in (_min, _max))
    if low >= 0 and high <= 1:
        return "bits"
    return next(
        kind for kind, bound in (("i1", 1 << 7), ("i2", 1 << 15), ("i4", 1 << 31)) if -bound <= low and high < bound
    )


def _min(values: Any) -> int:
    return min(values) if not isinstance(values, np.ndarray) else int(values.min(initial=0))


def _max(values: Any) -> int:
    return max(values) if not isinstance(values, np.ndarray) else int(values.max(initial=0))


def _bytes(kind: str, n: int) -> int:
    return -(-n // 8) if kind == "bits" else n * int(kind[1])


def packed(values: IntArray, kind: str) -> str:
    """Base64 of an array.

    Example:
        >>> base64.b64decode(packed(np.array([[1, 0, 1], [0, 0, 1]]), "bits")), packed(np.array([-1, 2]), "i1")
        (b'%', '/wI=')
    """
    flat = values.reshape(-1)
    raw = np.packbits(flat.astype(bool), bitorder="little") if kind == "bits" else flat.astype(f"<{kind}")
    return base64.b64encode(raw.tobytes()).decode("ascii")


def _states(
    samples: Sequence[ShownSample], names: Sequence[str], shapes: dict[str, tuple[int, ...]], steps: int
) -> dict[str, list[str]]:
    """Which states of which populations there is room for."""
    room, kept = STATE_BYTES, {}
    for name in sorted(names, key=lambda name: int(np.prod(shapes[name]))):
        states = list(samples[0].states.get(name, {}))
        needed = 4 * len(states) * len(samples) * steps * int(np.prod(shapes[name]))
        if states and needed <= room:
            kept[name], room = states, room - needed
    return kept


def _layer(  # noqa: PLR0917
    found: Findings,
    graph: Graph,
    name: str,
    shape: tuple[int, ...],
    samples: Sequence[ShownSample],
    steps: int,
    kind: str,
    states: dict[str, list[str]],
) -> dict[str, Any]:
    facts = next(layer for layer in found.layers if layer.name == name)
    cut = [_cut(sample.spikes[name], shape, steps) for sample in samples]
    traces = {}
    for state in states.get(name, []):
        arrays = [_cut(sample.states[name][state], shape, steps) for sample in samples]
        state_kind = _kind(arrays)
        state_kind = "i1" if state_kind == "bits" else state_kind
        traces[state] = {"kind": state_kind, "data": [packed(a, state_kind) for a in arrays]}
    is_input = name == graph.input.name
    low, high = _min(_min(a) for a in cut), _max(_max(a) for a in cut)
    return {
        "name": name,
        "isInput": is_input,
        "sendsValues": kind != "bits" if is_input else graph.population(name).sends_values,
        "shape": list(shape),
        "neurons": facts.neurons,
        "kind": kind,
        "low": low,
        "high": max(high, graph.input.value_range[1]) if is_input and graph.input.value_range else high,
        "threshold": None if facts.threshold is None else facts.threshold << STATE_EXP,
        "classes": list(found.source.classes) if name in graph.outputs[:1] else [],
        "data": [packed(a, kind) for a in cut],
        "states": traces,
    }
