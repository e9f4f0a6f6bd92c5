"""The least and the greatest sum that synapses can add to a neuron in one step, from weights and declared ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.cuba import CubaState, cuba_step, effective_bias
from pumice.fixedpoint.formats import STATE_LIMIT
from pumice.ir import (
    Accumulator,
    Conv,
    Cuba,
    Delta,
    Dense,
    Direct,
    Graph,
    OneToOne,
    Population,
    Resonator,
    Sigma,
    SigmaDelta,
    Sparse,
    Synapse,
    TokenMixing,
    flatten_whc,
    unflatten_whc,
)
from pumice.ir.kinds import rule_for
from pumice.ir.schedule import is_autonomous
from pumice.passes.insert_relays import is_value_relay

FloatArray = npt.NDArray[np.float64]
Bounds = tuple[FloatArray, FloatArray]


def current_bounds(graph: Graph, name: str, part: str = "real") -> Bounds:
    """Least and greatest synaptic sum that each neuron of a population can get in one step, 0 included.

    Args:
        graph: Any graph.
        name: A population.
        part: Which of its inputs.

    Returns:
        Two arrays of the population's shape.

    Raises:
        GraphError: Something into the population is of a kind that is not known.
    """
    shape = graph.shape_of(name)
    low, high = np.zeros(shape), np.zeros(shape)
    for synapse in (s for s in graph.into(name) if s.part == part):
        first, stop = synapse.target_channels or (0, shape[-1])
        least, most = _sum_bounds(graph, synapse, (*shape[:-1], stop - first))
        low[..., first:stop] += least
        high[..., first:stop] += most
    return low, high


def _sum_bounds(graph: Graph, synapse: Synapse, shape: tuple[int, ...]) -> Bounds:
    low: Any
    high: Any
    low, high = _sent_bounds(graph, synapse)
    if not isinstance(synapse, (Direct, OneToOne)):
        low, high = np.min(low), np.max(high)
    scale = float(1 << getattr(synapse, "weight_exp", 0))
    clock = _clock(graph, synapse)
    if clock is not None and isinstance(synapse, (Dense, Sparse)):
        least, most = _clock_sums(clock, synapse, shape)
        return scale * least, scale * most
    positive, negative = rule_for(_WEIGHT_SUMS, synapse, "the bounds of sums")(synapse, shape)
    return scale * (positive * low + negative * high), scale * (positive * high + negative * low)


def _sent_bounds(graph: Graph, synapse: Synapse) -> tuple[Any, Any]:
    """The least and the greatest value that the source sends, as the synapse reads it, 0 included."""
    if not synapse.graded:
        return 0, 1
    if synapse.source == graph.input.name:
        low, high = graph.input.value_range or (-STATE_LIMIT, STATE_LIMIT)
        return min(low, 0), max(high, 0)
    source = graph.population(synapse.source)
    if is_value_relay(source):
        return current_bounds(graph, source.name)
    return rule_for(_SENT, source, "the bounds of sums")


_WORD = (-(1 << 31), (1 << 31) - 1)
_SENT: dict[type[Population], tuple[int, int]] = {
    Cuba: (0, 1),
    Resonator: (0, 1),
    Accumulator: (1 - STATE_LIMIT, STATE_LIMIT - 1),
    Sigma: _WORD,
    Delta: _WORD,
    SigmaDelta: _WORD,
}
"""What a population can send: voltages clip at 24 bits, the other values have 32."""


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


def _halves(weight: Any) -> Bounds:
    """The positive and the negative weights, the others 0."""
    wide = np.asarray(weight, np.float64)
    return np.maximum(wide, 0), np.minimum(wide, 0)


def _all_to_all(s: Dense | Conv, shape: tuple[int, ...]) -> Bounds:
    """Along the last axis of the target, which is all of it, or its channels."""
    positive, negative = (half.reshape(len(half), -1).sum(1) for half in _halves(s.weight))
    return np.broadcast_to(positive, shape), np.broadcast_to(negative, shape)


def _sparse(s: Sparse, shape: tuple[int, ...]) -> Bounds:
    size = int(np.prod(shape))
    positive, negative = (np.bincount(s.rows, weights=half, minlength=size) for half in _halves(s.values))
    return unflatten_whc(positive, shape), unflatten_whc(negative, shape)


def _one_to_one(s: OneToOne, shape: tuple[int, ...]) -> Bounds:
    positive, negative = _halves(s.weight)
    return np.broadcast_to(positive, shape), np.broadcast_to(negative, shape)


def _token_mixing(s: TokenMixing, shape: tuple[int, ...]) -> Bounds:
    positive, negative = (half.sum(2) for half in _halves(s.weight))
    return _image(positive, shape), _image(negative, shape)


def _image(per_token: npt.NDArray[np.float64], shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """(heads, tokens) -> (x, y, channel)."""
    width, height, channels = shape
    per_channel = np.repeat(per_token, channels // len(per_token), axis=0)
    return per_channel.reshape(channels, height, width).transpose(2, 1, 0)


_WEIGHT_SUMS: dict[type[Synapse], Callable[[Any, tuple[int, ...]], Bounds]] = {
    Direct: lambda _, shape: (np.ones(shape), np.zeros(shape)),
    Dense: _all_to_all,
    Conv: _all_to_all,
    Sparse: _sparse,
    OneToOne: _one_to_one,
    TokenMixing: _token_mixing,
}
"""The sum of the positive and of the negative weights that meet in each target neuron."""
