"""Predict, from weights and input range, where the chip's 24-bit states could wrap or clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.bits import STATE_LIMIT
from pumice.fixedpoint.cuba import effective_bias
from pumice.ir import (
    Accumulator,
    Conv,
    Cuba,
    Dense,
    Direct,
    Graph,
    Sparse,
    Synapse,
    TokenMixing,
    unflatten_whc,
)
from pumice.ir.schedule import is_autonomous

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
    leaky = (p for p in graph.populations if isinstance(p, (Cuba, Accumulator)))
    return [line for p in leaky for line in _population(graph, p, steps)]


def current_bounds(graph: Graph, name: str) -> Bounds:
    """Least and greatest synaptic sum that each neuron of a population can get in one step, 0 included.

    Args:
        graph: Any graph.
        name: A population.

    Returns:
        Two arrays of the population's shape.
    """
    shape = graph.shape_of(name)
    low, high = np.zeros(shape), np.zeros(shape)
    for synapse in graph.into(name):
        first, stop = synapse.target_channels or (0, shape[-1])
        least, most = _sum_bounds(graph, synapse, (*shape[:-1], stop - first))
        low[..., first:stop] += least
        high[..., first:stop] += most
    return low, high


def _population(graph: Graph, p: Cuba | Accumulator, steps: float) -> Iterator[str]:
    low, high = current_bounds(graph, p.name)
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


def _sum_bounds(graph: Graph, synapse: Synapse, shape: tuple[int, ...]) -> Bounds:
    low, high = _value_range(graph, synapse)
    if isinstance(synapse, Direct):
        return np.full(shape, float(low)), np.full(shape, float(high))
    positive, negative = _weight_sums(_coinciding(graph, synapse), shape)
    scale = float(1 << getattr(synapse, "weight_exp", 0))
    return scale * (positive * low + negative * high), scale * (positive * high + negative * low)


def _coinciding(graph: Graph, synapse: Synapse) -> Synapse:
    """A clock's neurons all fire in the same step, so only weights of equal delay ever meet; those of one delay."""
    if not isinstance(synapse, (Dense, Sparse)) or np.ndim(synapse.delay_steps) == 0:
        return synapse
    if synapse.source == graph.input.name or not is_autonomous(graph, graph.population(synapse.source)):
        return synapse
    delays = np.asarray(synapse.delay_steps)
    now = delays == delays.flat[0]
    if isinstance(synapse, Dense):
        return replace(synapse, weight=np.where(now, synapse.weight, 0))
    return replace(synapse, values=np.where(now, synapse.values, 0))


def _weight_sums(synapse: Synapse, shape: tuple[int, ...]) -> Bounds:
    """Sum of the positive and of the negative weights that meet in each target neuron."""
    if isinstance(synapse, Sparse):
        sums = []
        for half in (np.maximum(synapse.values, 0), np.minimum(synapse.values, 0)):
            total = np.bincount(synapse.rows, weights=half, minlength=int(np.prod(shape)))
            sums.append(unflatten_whc(total, shape))
        return sums[0], sums[1]
    weight: npt.NDArray[np.float64] = np.asarray(getattr(synapse, "weight")).astype(np.float64)  # noqa: B009
    halves = [np.maximum(weight, 0), np.minimum(weight, 0)]
    if isinstance(synapse, (Dense, Conv)):
        halves = [half.sum(tuple(range(1, weight.ndim))) for half in halves]
    elif isinstance(synapse, TokenMixing):
        halves = [_image(half.sum(2), shape) for half in halves]
    return np.broadcast_to(halves[0], shape), np.broadcast_to(halves[1], shape)


def _image(per_token: npt.NDArray[np.float64], shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """(heads, tokens) -> (x, y, channel)."""
    width, height, channels = shape
    per_channel = np.repeat(per_token, channels // len(per_token), axis=0)
    return per_channel.reshape(channels, height, width).transpose(2, 1, 0)


def _value_range(graph: Graph, synapse: Synapse) -> tuple[int, int]:
    if not synapse.graded:
        return 0, 1
    if synapse.source == graph.input.name:
        low, high = graph.input.value_range or (-STATE_LIMIT, STATE_LIMIT)
        return min(low, 0), max(high, 0)
    return (-STATE_LIMIT, STATE_LIMIT) if graph.population(synapse.source).sends_values else (0, 1)
