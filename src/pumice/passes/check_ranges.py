"""Predict, from weights and input range, where the chip's 24-bit states could wrap or clip."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.bits import STATE_LIMIT
from pumice.fixedpoint.cuba import effective_bias
from pumice.ir import Conv, Cuba, Dense, Direct, Graph, Synapse


def check_ranges(graph: Graph) -> list[str]:
    """Worst-case bounds of every population's u and v, assuming all its inputs at their worst at every step.

    The bounds are sufficient, not necessary: a warning means that a wrap or clip cannot be ruled out. All
    backends compute wraps and clips alike, so nothing becomes inexact; but a wrap is rarely what was meant.

    Args:
        graph: Any graph; its timing bounds the number of steps over which states can build up.

    Returns:
        One line for each population and state that could leave its 24 bits; empty if none can.

    Example:
        >>> from pumice.ir.builder import chain
        >>> check_ranges(chain((4,), [3], seed=0))
        []
    """
    return [line for p in graph.populations for line in _population(graph, p)]


def _population(graph: Graph, p: Cuba) -> Iterator[str]:
    worst = np.zeros(p.shape)
    for synapse in graph.into(p.name):
        worst = worst + _worst_sum(graph, synapse)
    steps = graph.timing.period_steps if graph.timing is not None else np.inf
    u = float(np.max(worst * 64 * _memory(p.i_decay_q12, steps)))
    v = float(np.max((u + np.abs(effective_bias(p.bias_mant, p.bias_exp))) * _memory(p.v_decay_q12, steps)))
    if u > STATE_LIMIT:
        yield (
            f"{p.name}: the current u could reach {u:.3g} and wrap at {STATE_LIMIT} (24 bits); "
            "use smaller weights or fewer input bits"
        )
    if v >= STATE_LIMIT and np.isfinite(v):
        yield f"{p.name}: the voltage v could reach -{v:.3g} and clip at {STATE_LIMIT - 1} (24 bits)"


def _memory(decay_q12: int | npt.NDArray[np.integer], steps: float) -> npt.NDArray[np.floating]:  # type: ignore[type-arg]
    """How many steps' worth of input a leaky integrator holds at most."""
    decay = np.asarray(decay_q12, dtype=float)
    return np.minimum(np.divide(4096.0, decay, out=np.full_like(decay, np.inf), where=decay > 0), steps)


def _worst_sum(graph: Graph, synapse: Synapse) -> npt.NDArray[np.floating]:  # type: ignore[type-arg]
    peak = 1.0
    if synapse.graded and synapse.source == graph.input.name:
        low, high = graph.input.value_range or (-STATE_LIMIT, STATE_LIMIT)
        peak = float(max(abs(low), abs(high)))
    if isinstance(synapse, Dense):
        return np.abs(synapse.weight.astype(float)).sum(1) * peak * (1 << synapse.weight_exp)
    if isinstance(synapse, Conv):
        return np.broadcast_to(
            np.abs(synapse.weight.astype(float)).sum((1, 2, 3)) * peak, graph.shape_of(synapse.target)
        )
    if isinstance(synapse, Direct):
        return np.full(graph.shape_of(synapse.target), peak)
    raise TypeError(f"no bound for a synapse of kind {type(synapse).__name__}")
