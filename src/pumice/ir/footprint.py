"""How many bytes a run of a graph takes, about, before anything is allocated."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from pumice.ir.graph import Graph
from pumice.ir.synapses import Synapse

_INT32, _INT64 = 4, 8


def step_bytes(graph: Graph) -> int:
    """Bytes that one step takes: states, what is under way in the synapses, and what is computed on the way.

    It follows from shapes and delays alone, so that it costs nothing for shapes of any size. Backends differ; the
    reference takes about this much.

    Example:
        >>> from pumice.ir.builder import chain
        >>> step_bytes(chain((4,), [3, 2], seed=0))
        380
    """
    total = 0
    for p in graph.populations:
        total += p.size * (_INT32 * (len(p.states) + 1 + len(p.parts)) + 2 * _INT64)
    for s in graph.synapses:
        slots = s.max_delay_steps + s.balance_steps + 1
        total += slots * _size(graph.shape_of(s.target)) * _INT32
        total += (_largest_image(graph, s) + s.weights.size) * _INT64
    return total


def run_bytes(graph: Graph, n_steps: int, *, record: bool) -> int:
    """Bytes that a run of so many steps takes: one step, its input, and what is kept of all steps.

    Args:
        graph: Any graph.
        n_steps: How many.
        record: Whether states and outputs of all populations are kept, or those of the outputs alone.

    Example:
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 2], seed=0)
        >>> [run_bytes(graph, 1000, record=record) - step_bytes(graph) for record in (False, True)]
        [24000, 76000]
    """
    kept = graph.input.size
    for p in graph.populations:
        if record or p.name in graph.outputs:
            kept += p.size * (1 + len(p.states) * record)
    return step_bytes(graph) + n_steps * kept * _INT32


def sample_bytes(graph: Graph) -> int:
    """Bytes of one step, and of the streams of one sample where the graph says how long it is."""
    timing = graph.timing
    steps = 1 if timing is None else timing.lead_steps + timing.period_steps
    return run_bytes(graph, steps, record=False)


def _largest_image(graph: Graph, synapse: Synapse) -> int:
    """Values of the largest array that a sum of this synapse takes: of convolutions, an image with its margin."""
    source, receiving = graph.ends_of(synapse)
    largest = max(_size(source), _size(receiving))
    s: Any = synapse
    if not hasattr(s, "padding") or len(source) != 3:
        return largest
    if not hasattr(s, "output_padding"):
        return max(largest, _size([source[i] + 2 * s.padding[i] for i in (0, 1)]) * source[-1])
    reach = [s.dilation[i] * (s.weight.shape[1 + i] - 1) for i in (0, 1)]
    return max(largest, _size([source[i] * s.stride[i] + reach[i] for i in (0, 1)]) * receiving[-1])


def _size(shape: Iterable[int]) -> int:
    """Without NumPy, whose product wraps at 2^63."""
    return math.prod(map(int, shape))
