"""The least and the greatest value that sigma-delta neurons can hold, from weights, biases and declared ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.ir import Delta, Direct, Graph, OneToOne, Sigma, SigmaDelta, Synapse
from pumice.ir.schedule import begins_with_input
from pumice.passes.current_bounds import Bounds, current_bounds

FloatArray = npt.NDArray[np.float64]


def value_bounds(graph: Graph) -> dict[str, Bounds]:
    r"""Bounds of what `Delta`, `Sigma` and `SigmaDelta` neurons hold, 0 included.

    All that such neurons have sent adds up to a value that they held, less what was cut off: at most one unit each
    time. So a sum of their changes is bounded by their values,

    .. math:: \Big| \sum_{t} s(t) - 2^{-e} a \Big| \le T \quad\text{(0 if the state exponent } e \text{ is 0)}

    over the T steps of a run. What spikes, or is no sum, adds its largest in each of the T steps.

    Args:
        graph: Any; with a timing each sample is a run of its own, without one T is not known.

    Returns:
        For each of these populations two arrays of its shape; infinite where nothing is known.

    Example:
        >>> from pumice.ir import Dense, Input
        >>> populations = (Delta("a", (1,), vth=0, spike_exp=0, state_exp=0), Sigma("b", (1,)))
        >>> synapses = (Direct("input", "a", True), Dense("a", "b", True, weight=np.array([[-3]])))
        >>> graph = Graph(Input("input", (1,), (0, 5)), populations, synapses, ("b",))
        >>> [float(bound[0]) for bound in value_bounds(graph)["b"]]
        [-15.0, 0.0]
    """
    n_steps = float("inf") if graph.timing is None else graph.timing.period_steps + float(graph.latency)
    found: dict[str, Bounds] = {}
    sent: dict[str, Bounds] = {}
    for p in graph.populations:
        if isinstance(p, Delta):
            low, high = (bound * 2.0 ** (p.spike_exp + p.state_exp) for bound in current_bounds(graph, p.name))
        elif isinstance(p, (Sigma, SigmaDelta)):
            low, high = _sums(graph, p.name, sent, n_steps)
        else:
            continue
        if isinstance(p, SigmaDelta):
            low, high = np.minimum(low, low + p.bias), np.maximum(high, high + p.bias)
        found[p.name] = low, high
        if not isinstance(p, Sigma):
            low = np.zeros_like(low) if isinstance(p, SigmaDelta) and p.relu else low
            sent[p.name] = low / 2.0**p.state_exp - (n_steps if p.state_exp else 0.0), high / 2.0**p.state_exp
    return found


def _sums(graph: Graph, name: str, sent: dict[str, Bounds], n_steps: float) -> Bounds:
    shape = graph.shape_of(name)
    low, high = np.zeros(shape), np.zeros(shape)
    for synapse in graph.into(name):
        first, stop = synapse.target_channels or (0, shape[-1])
        least, most = _sum(graph, synapse, (*shape[:-1], stop - first), sent, n_steps)
        low[..., first:stop] += least
        high[..., first:stop] += most
    return low, high


def _sum(graph: Graph, synapse: Synapse, shape: tuple[int, ...], sent: dict[str, Bounds], n_steps: float) -> Bounds:
    begins = synapse.source != graph.input.name and begins_with_input(graph, graph.population(synapse.source))
    if begins and isinstance(sender := graph.population(synapse.source), SigmaDelta):
        sent_once = np.broadcast_to(np.asarray(sender.bias) >> sender.state_exp, sender.shape).astype(np.int32)
        once = synapse.accumulate(sent_once, 0, shape).astype(float)
        return np.minimum(once, 0), np.maximum(once, 0)
    positive, negative = (half.astype(float) for half in synapse.sums(graph.shape_of(synapse.source), shape))
    low: Any
    high: Any
    if synapse.graded and synapse.source in sent:
        low, high = sent[synapse.source]
    else:
        low, high = _in_each_step(graph, synapse)
        low, high = _times(low, n_steps), _times(high, n_steps)
    if not isinstance(synapse, (Direct, OneToOne)):  # neurons of several places meet
        low, high = np.min(low), np.max(high)
    scale = float(1 << synapse.shift_bits)
    return (
        scale * (_product(positive, low) + _product(negative, high)),
        scale * (_product(positive, high) + _product(negative, low)),
    )


def _in_each_step(graph: Graph, synapse: Synapse) -> tuple[float, float]:
    if not synapse.graded:
        return 0.0, 1.0
    if synapse.source != graph.input.name:
        ends: tuple[float, float] = graph.population(synapse.source).sent_range
    else:
        ends = graph.input.value_range or (-np.inf, np.inf)
    return float(min(ends[0], 0)), float(max(ends[1], 0))


def _times(bound: float, n_steps: float) -> float:
    return bound * n_steps if bound else 0.0  # 0 * inf would be NaN


def _product(weights: FloatArray, bound: Any) -> FloatArray:
    return np.multiply(weights, bound, out=np.zeros(weights.shape), where=weights != 0)
