"""Predict, from weights and input range, where the chip's 24-bit states could wrap or clip."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.bits import STATE_LIMIT
from pumice.fixedpoint.cuba import CubaState, cuba_step, effective_bias
from pumice.ir import (
    Accumulator,
    Conv,
    Cuba,
    Dense,
    Direct,
    Graph,
    OneToOne,
    Sparse,
    Synapse,
    TokenMixing,
    flatten_whc,
    unflatten_whc,
)
from pumice.ir.schedule import is_autonomous
from pumice.passes.insert_relays import is_value_relay

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
    low: Any
    high: Any
    low, high = _value_range(graph, synapse)
    if isinstance(synapse, Direct):
        return np.full(shape, float(low)), np.full(shape, float(high))
    if isinstance(synapse, OneToOne) and synapse.source != graph.input.name:
        source = graph.population(synapse.source)
        if is_value_relay(source):
            low, high = current_bounds(graph, synapse.source)
    scale = float(1 << getattr(synapse, "weight_exp", 0))
    clock = _clock(graph, synapse)
    if clock is not None and isinstance(synapse, (Dense, Sparse)):
        least, most = _clock_sums(clock, synapse, shape)
        return scale * least, scale * most
    positive, negative = _weight_sums(synapse, shape)
    return scale * (positive * low + negative * high), scale * (positive * high + negative * low)


def _clock(graph: Graph, synapse: Synapse) -> Cuba | None:
    """The synapse's source if nothing but its bias and its resets decides when it fires."""
    if synapse.source == graph.input.name:
        return None
    source = graph.population(synapse.source)
    alone = is_autonomous(graph, source) and isinstance(source, Cuba) and source.reset is not None
    return source if alone and isinstance(source, Cuba) else None


def _clock_sums(clock: Cuba, synapse: Dense | Sparse, shape: tuple[int, ...]) -> Bounds:
    """Least and greatest sum that the clock's spikes, which are known, add in one step; 0 included.

    From its second reset on a clock repeats itself, so two intervals and the longest delay show all there is.
    """
    assert clock.reset is not None
    n_steps = 3 * clock.reset.interval + synapse.max_delay_steps
    fired = _spikes_of_clock(clock, n_steps)
    if isinstance(synapse, Dense):
        rows, columns = (a.ravel() for a in np.indices(synapse.weight.shape))
        weight, n_target = synapse.weight.ravel(), len(synapse.weight)
        delays = np.broadcast_to(synapse.delay_steps, synapse.weight.shape).ravel()
    else:
        rows, columns, weight, n_target = synapse.rows, synapse.columns, synapse.values, int(np.prod(shape))
        delays = np.broadcast_to(synapse.delay_steps, weight.shape)
    least, most = np.zeros(n_target), np.zeros(n_target)
    arrivals = {int(t + d) for t in np.flatnonzero(fired.any(1)) for d in np.unique(delays)}
    for t in arrivals & set(range(n_steps)):  # beyond, the next spikes are missing
        left = t - delays
        acts = (left >= 0) & fired[np.maximum(left, 0), columns]
        total = np.bincount(rows[acts], weights=weight[acts], minlength=n_target)
        least, most = np.minimum(least, total), np.maximum(most, total)
    return unflatten_whc(least, shape), unflatten_whc(most, shape)


def _spikes_of_clock(clock: Cuba, n_steps: int) -> npt.NDArray[np.bool_]:
    """Shape (n_steps, n_neurons), neurons in the order of a dense synapse's source."""
    state = CubaState(np.zeros(clock.shape, np.int32), np.zeros(clock.shape, np.int32))
    fired = np.zeros((n_steps, clock.size), bool)
    for step in range(n_steps):
        if clock.reset is not None and clock.reset.applies(step + 1):
            state = CubaState(np.zeros_like(state.u), np.zeros_like(state.v))
        spikes, state = cuba_step(
            state,
            np.zeros(clock.shape, np.int32),
            i_decay_q12=clock.i_decay_q12,
            v_decay_q12=clock.v_decay_q12,
            vth_mant=clock.vth_mant,
            bias=effective_bias(clock.bias_mant, clock.bias_exp),
        )
        fired[step] = flatten_whc(spikes)
    return fired


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
