"""Predict, from weights and input range, where states could leave the chip's 24 bits: wrap, or clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.cuba import effective_bias
from pumice.fixedpoint.formats import DECAY_ONE, STATE_EXP, STATE_LIMIT, WORD_LIMIT
from pumice.ir import Accumulator, Cuba, Delta, Graph, Population, Resonator, Sigma, SigmaDelta, check_known
from pumice.ir.relays import is_value_relay
from pumice.passes.current_bounds import Bounds, current_bounds
from pumice.passes.value_bounds import value_bounds


def check_ranges(graph: Graph) -> list[str]:
    """Worst-case bounds of every population's states, assuming all its inputs at their worst at every step.

    The bounds are sufficient, not necessary: a line means that a wrap or clip cannot be ruled out. All backends
    compute wraps and clips alike, so nothing becomes inexact; but a wrap is rarely what was meant.

    What nothing here bounds has a line that says so: kinds without a rule of their own, and sums of sigma and
    sigma-delta neurons where `value_bounds` knows none (relays of values pass on the change of a sum exactly, wrapped
    or not).

    Args:
        graph: Any graph; its resets bound the number of steps over which states can build up.

    Returns:
        One line for each population and state that could leave its 24 bits; empty if none can.

    Raises:
        GraphError: The graph holds a kind of population or synapse that is not known.

    Example:
        >>> from pumice.ir.builder import chain
        >>> check_ranges(chain((4,), [3], seed=0))
        []
    """
    check_known(graph)
    return [f"{p.name}: {line}" for p in graph.populations for line in _CHECKS.get(type(p), _unbounded)(graph, p)]


def _unbounded(graph: Graph, p: Population) -> Iterator[str]:
    if p.states:
        yield f"no bound is known for the states of a {type(p).__name__}"


def _leaky(graph: Graph, p: Cuba | Accumulator) -> Iterator[str]:
    low, high = (bound * (1 << STATE_EXP) for bound in current_bounds(graph, p.name))
    steps = np.inf if p.reset is None else p.reset.interval
    u_memory, v_memory = (_memory(decay, steps) for decay in (p.i_decay_q12, p.v_decay_q12))
    bias = effective_bias(p.bias_mant, p.bias_exp)
    u_low, u_high = float((low * u_memory).min()), float((high * u_memory).max())
    v_low = float(((low * u_memory + np.minimum(bias, 0)) * v_memory).min())
    v_high = float(((high * u_memory + np.maximum(bias, 0)) * v_memory).max())
    if -u_low >= STATE_LIMIT or u_high > STATE_LIMIT:
        yield (
            f"the current u could reach {u_low:.3g} to {u_high:.3g} and wrap at {STATE_LIMIT} (24 bits); "
            "use smaller weights or fewer input bits"
        )
    if -v_low >= STATE_LIMIT:
        yield f"the voltage v could reach {v_low:.3g} and clip at {1 - STATE_LIMIT} (24 bits)"
    # Upward, the voltage is cut off by the spike: it exceeds the threshold by one step's current at most.
    fires = isinstance(p, Cuba) and p.vth_mant << STATE_EXP < STATE_LIMIT - 1
    if not fires and v_high >= STATE_LIMIT:
        yield f"the voltage v could reach {v_high:.3g} and clip at {STATE_LIMIT - 1} (24 bits)"


def _memory(decay_q12: int | npt.NDArray[Any], steps: float) -> npt.NDArray[np.float64]:
    """How many steps' worth of input a leaky integrator holds at most."""
    decay = np.asarray(decay_q12, dtype=float)
    held = np.divide(float(DECAY_ONE), decay, out=np.full_like(decay, np.inf), where=decay > 0)
    # inf * 0 would be nan: an unbounded memory of nothing holds nothing.
    return np.minimum(np.minimum(held, steps), 1e12)


def _delta(graph: Graph, p: Delta) -> Iterator[str]:
    low, high = current_bounds(graph, p.name)
    # From one end to the other since it last sent; an error that is summed up stops at the threshold.
    change = float((high - low).max()) * 2.0 ** (p.spike_exp + p.state_exp) + (p.vth if p.cum_error else 0)
    if change >= STATE_LIMIT:
        yield (
            f"the change of its input could reach {change:.3g}, beyond {STATE_LIMIT} (24 bits; Lava's model wraps at "
            "32); use smaller weights, fewer input bits or smaller exponents"
        )


def _summing(graph: Graph, p: Sigma | SigmaDelta) -> Iterator[str]:
    if not is_value_relay(p):
        reach = _largest(value_bounds(graph)[p.name])
        if not np.isfinite(reach):
            yield (
                f"no bound is known for the sum of a {type(p).__name__}, which adds up what arrives for ever; Lava's "
                "model wraps it at 32 bits, the chip's states have 24"
            )
        elif reach >= STATE_LIMIT:
            yield (
                f"its sum could reach {reach:.3g}, beyond {STATE_LIMIT} (24 bits; Lava's model wraps at 32); use "
                "smaller weights or fewer input bits, or an example with larger inputs"
            )
    elif (reach := _largest(current_bounds(graph, p.name))) >= WORD_LIMIT:
        yield f"the values that it passes on could reach {reach:.3g} and wrap at {WORD_LIMIT} (32 bits)"


def _resonator(graph: Graph, p: Resonator) -> Iterator[str]:
    arriving = [_largest(current_bounds(graph, p.name, part)) * 2.0**p.state_exp for part in p.parts]
    sin, cos = (np.asarray(decay, dtype=float) / (1 << p.decay_bits) for decay in (p.sin_decay, p.cos_decay))
    held = float((1 / np.maximum(1 - np.hypot(sin, cos), 1e-12)).max())  # steps; there is no reset
    rounding = 2.0  # the four products lose less than 1 each, two of them in either part
    reach = float(np.hypot(arriving[0] + rounding, arriving[1] + rounding)) * held + p.vth
    if reach >= STATE_LIMIT:
        yield (
            f"its states could reach {reach:.3g} and clip at {STATE_LIMIT - 1} (24 bits); use smaller weights, more "
            "decay, fewer input bits or a smaller state exponent"
        )


def _largest(bounds: Bounds) -> float:
    return float(max(-bounds[0].min(), bounds[1].max()))


_CHECKS: dict[type[Population], Callable[[Graph, Any], Iterator[str]]] = {
    Cuba: _leaky,
    Accumulator: _leaky,
    Delta: _delta,
    Sigma: _summing,
    SigmaDelta: _summing,
    Resonator: _resonator,
}
