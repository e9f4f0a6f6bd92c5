"""Predict, from weights and input range, where the chip's 24-bit states could wrap or clip."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.bits import STATE_LIMIT
from pumice.fixedpoint.cuba import effective_bias
from pumice.ir import Conv, Cuba, Dense, Direct, Graph, Synapse

Bounds = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def check_ranges(graph: Graph) -> list[str]:
    """Worst-case bounds of every population's u and v, assuming all its inputs at their worst at every step.

    The bounds are sufficient, not necessary: a line means that a wrap or clip cannot be ruled out. All backends
    compute wraps and clips alike, so nothing becomes inexact; but a wrap is rarely what was meant.

    Args:
        graph: Any graph; its timing bounds the number of steps over which states can build up.

    Returns:
        One line for each population and state that could leave its 24 bits; empty if none can.

    Example:
        >>> from pumice.ir.builder import chain
        >>> check_ranges(chain((4,), [3], seed=0))
        []
    """
    steps = graph.timing.period_steps if graph.timing is not None else np.inf
    return [line for p in graph.populations for line in _population(graph, p, steps)]


def _population(graph: Graph, p: Cuba, steps: float) -> Iterator[str]:
    low, high = np.zeros(p.shape), np.zeros(p.shape)
    for synapse in graph.into(p.name):
        least, most = _sum_bounds(graph, synapse)
        low, high = low + least, high + most
    u_memory, v_memory = (_memory(decay, steps) for decay in (p.i_decay_q12, p.v_decay_q12))
    bias = effective_bias(p.bias_mant, p.bias_exp)
    u_low, u_high = float((low * 64 * u_memory).min()), float((high * 64 * u_memory).max())
    v_low = float(((low * 64 * u_memory + np.minimum(bias, 0)) * v_memory).min())
    if -u_low >= STATE_LIMIT or u_high > STATE_LIMIT:
        yield (
            f"{p.name}: the current u could reach {u_low:.3g} to {u_high:.3g} and wrap at {STATE_LIMIT} (24 bits); "
            "use smaller weights or fewer input bits"
        )
    # Upward, the voltage is cut off by the spike: it exceeds the threshold by one step's current at most.
    if -v_low >= STATE_LIMIT:
        yield f"{p.name}: the voltage v could reach {v_low:.3g} and clip at {1 - STATE_LIMIT} (24 bits)"


def _memory(decay_q12: int | npt.NDArray[Any], steps: float) -> npt.NDArray[np.float64]:
    """How many steps' worth of input a leaky integrator holds at most."""
    decay = np.asarray(decay_q12, dtype=float)
    held = np.divide(4096.0, decay, out=np.full_like(decay, np.inf), where=decay > 0)
    # inf * 0 would be nan: an unbounded memory of nothing holds nothing.
    return np.minimum(np.minimum(held, steps), 1e12)


def _sum_bounds(graph: Graph, synapse: Synapse) -> Bounds:
    """Least and greatest sum that the synapse can give to each target neuron, 0 included."""
    low, high = _value_range(graph, synapse)
    if isinstance(synapse, Direct):
        shape = graph.shape_of(synapse.target)
        return np.full(shape, float(low)), np.full(shape, float(high))
    if not isinstance(synapse, (Dense, Conv)):
        raise TypeError(f"no bound for a synapse of kind {type(synapse).__name__}")
    sources = tuple(range(1, synapse.weight.ndim))
    positive = np.maximum(synapse.weight, 0).astype(float).sum(sources)
    negative = np.minimum(synapse.weight, 0).astype(float).sum(sources)
    scale = 1 << (synapse.weight_exp if isinstance(synapse, Dense) else 0)
    return scale * (positive * low + negative * high), scale * (positive * high + negative * low)


def _value_range(graph: Graph, synapse: Synapse) -> tuple[int, int]:
    if not synapse.graded or synapse.source != graph.input.name:
        return 0, 1
    low, high = graph.input.value_range or (-STATE_LIMIT, STATE_LIMIT)
    return min(low, 0), max(high, 0)
