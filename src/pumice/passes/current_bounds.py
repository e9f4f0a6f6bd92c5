"""The least and the greatest sum that synapses can add to a neuron in one step, from weights and declared ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.formats import STATE_LIMIT
from pumice.ir import Cuba, Direct, Graph, OneToOne, Synapse
from pumice.ir.relays import is_value_relay
from pumice.ir.schedule import is_autonomous

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
    source = graph.shape_of(synapse.source)
    clock = _clock(graph, synapse)
    if clock is not None:
        least, most = _clock_sums(clock, synapse, source, shape)
    else:
        low, high = _sent_bounds(graph, synapse)
        if not isinstance(synapse, (Direct, OneToOne)):  # neurons of several places meet
            low, high = np.min(low), np.max(high)
        positive, negative = synapse.sums(source, shape)
        least, most = positive * low + negative * high, positive * high + negative * low
    scale = float(1 << synapse.shift_bits)
    return scale * least, scale * most


def _sent_bounds(graph: Graph, synapse: Synapse) -> tuple[Any, Any]:
    """The least and the greatest value that the source sends, as the synapse reads it, 0 included; floats."""
    if not synapse.graded:
        return 0.0, 1.0
    if synapse.source == graph.input.name:
        low, high = graph.input.value_range or (-STATE_LIMIT, STATE_LIMIT)
        return float(min(low, 0)), float(max(high, 0))
    source = graph.population(synapse.source)
    if is_value_relay(source):
        return current_bounds(graph, source.name)
    low, high = source.sent_range
    return float(low), float(high)


def _clock(graph: Graph, synapse: Synapse) -> Cuba | None:
    """The synapse's source if nothing but its bias and its resets decides when it fires."""
    if synapse.source == graph.input.name:
        return None
    source = graph.population(synapse.source)
    alone = is_autonomous(graph, source) and isinstance(source, Cuba) and source.reset is not None
    return source if alone and isinstance(source, Cuba) else None


def _clock_sums(clock: Cuba, synapse: Synapse, source: tuple[int, ...], shape: tuple[int, ...]) -> Bounds:
    """Least and greatest sum that the clock's spikes, which are known, add in one step; 0 included.

    From its second reset on a clock repeats itself, so two intervals and the longest delay show all there is.
    """
    assert clock.reset is not None
    n_steps = 3 * clock.reset.interval + synapse.max_delay_steps
    fired = _spikes_of_clock(clock, n_steps)
    rows, columns, weight, delays = synapse.entries(source, shape)
    n_target = int(np.prod(shape))
    least, most = np.zeros(n_target), np.zeros(n_target)
    arrivals = {int(t + d) for t in np.flatnonzero(fired.any(1)) for d in np.unique(delays)}
    for t in arrivals & set(range(n_steps)):  # beyond, the next spikes are missing
        left = t - delays
        acts = (left >= 0) & fired[np.maximum(left, 0), columns]
        total = np.bincount(rows[acts], weights=weight[acts], minlength=n_target)
        least, most = np.minimum(least, total), np.maximum(most, total)
    return least.reshape(shape), most.reshape(shape)


def _spikes_of_clock(clock: Cuba, n_steps: int) -> npt.NDArray[np.bool_]:
    """Shape (n_steps, n_neurons), neurons in C order."""
    states = rest = {name: np.zeros(clock.shape, np.int32) for name in clock.states}
    fired = np.zeros((n_steps, clock.size), bool)
    for step in range(n_steps):
        if clock.reset is not None and clock.reset.applies(step + 1):
            states = rest
        spikes, states = clock.step(states, {"real": np.zeros(clock.shape, np.int32)})
        fired[step] = spikes.reshape(-1)
    return fired
