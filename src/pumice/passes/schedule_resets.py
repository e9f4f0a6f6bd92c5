"""When each population is cleared between samples, and what keeps a sample's late spikes out of the next."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.errors import GraphError
from pumice.fixedpoint.cuba import effective_bias
from pumice.fixedpoint.formats import DECAY_ONE, STATE_EXP, SUM_LIMIT, WEIGHT, WEIGHT_EXP
from pumice.ir import (
    Cuba,
    Dense,
    Graph,
    Population,
    Reset,
    Sparse,
    Synapse,
    Timing,
    check_known,
    latencies,
    with_reset_schedule,
)
from pumice.ir.limits import STEPS
from pumice.names import counted, free_name
from pumice.passes.base import PassResult, check_unscheduled
from pumice.passes.current_bounds import current_bounds

MAX_GATE_STRENGTH = -WEIGHT.low << WEIGHT_EXP.high


def schedule_resets(graph: Graph, sample_steps: int, period_steps: int | None = None) -> PassResult:
    """Reset each population exactly when a sample's first input reaches it, so that samples may follow each other.

    A reset clears neurons, but not spikes that are under way in recurrent synapses or trained delays. So a graph
    with such synapses gets a gap after each sample, as long as its longest way, at whose end the populations that
    these synapses start from are *blanked*: clock neurons, driven by their bias alone, hold them below threshold,
    stronger than everything that could excite them (proved from weights and input range). What a sample left
    behind then runs out in the gap. The stream starts with two silent periods, in which the clocks get into step.

    Preserves every spike within the samples; is exact for samples back to back, with biases too.

    Args:
        graph: Balanced, without a schedule.
        sample_steps: Steps of one sample.
        period_steps: Steps from one sample to the next; the next power of two at or above what is needed if not
            given, because chips reset in such intervals.

    Returns:
        The graph with resets, clocks and timing. Running the pass again with the same arguments changes nothing.

    Raises:
        GraphError: A number of steps is none, the period is too short, a population cannot be held below its
            threshold, or a kind is not known.

    Example:
        >>> from pumice.ir.builder import chain
        >>> graph = schedule_resets(chain((4,), [3, 2], seed=0), sample_steps=5).graph
        >>> graph.timing.period_steps, [p.reset.offset for p in graph.populations]
        (8, [2, 3])
    """
    check_known(graph)
    sample_steps = _steps("sample_steps", sample_steps)
    period_steps = None if period_steps is None else _steps("period_steps", period_steps)
    if graph.timing is not None:
        if graph.timing.sample_steps == sample_steps and period_steps in (None, graph.timing.period_steps):
            return PassResult(graph, False)
        check_unscheduled(graph)
    reach = _reach(graph)
    gap = max(reach.values(), default=0)
    period = period_steps or 1 << (sample_steps + gap - 1).bit_length()
    if period < sample_steps + gap:
        why = f" and a gap of {gap}, so that delayed and recurrent spikes run out" if gap else ""
        raise GraphError(
            f"period_steps must be >= {sample_steps + gap} (a sample's {counted(sample_steps, 'step')}{why}), got "
            f"{period}"
        )
    blanked = {name: steps for name, steps in reach.items() if name != graph.input.name}
    graph = with_reset_schedule(graph, period, offset=1)
    clocks, gates = _clocks(graph, blanked, period)
    timing = Timing(sample_steps, period, lead_steps=2 * period if blanked else 0)
    return PassResult(
        graph.replace(populations=(*clocks, *graph.populations), synapses=(*graph.synapses, *gates), timing=timing),
        True,
    )


def _steps(name: str, value: Any) -> int:
    if not isinstance(value, int | np.integer) or not 1 <= value <= STEPS.high:
        raise GraphError(f"{name} must be an integer in 1..{STEPS.high}, got {value!r}")
    return int(value)


def _reach(graph: Graph) -> dict[str, int]:
    """For each source of delayed or recurrent synapses: how many steps into the future its spikes reach."""
    reach: dict[str, int] = {}
    order = {name: i for i, name in enumerate(graph.names)}
    for synapse in graph.synapses:
        recurrent = order[synapse.source] >= order[synapse.target]
        steps = synapse.max_delay_steps + (synapse.latency_steps if recurrent else 0)
        if steps:
            reach[synapse.source] = max(reach.get(synapse.source, 0), steps)
    return reach


def _clocks(graph: Graph, blanked: dict[str, int], period: int) -> tuple[list[Population], list[Synapse]]:
    steps, taken = latencies(graph), set(graph.names)
    clocks: list[Population] = []
    gates: list[Synapse] = []
    for name, reach in blanked.items():
        strength = _strength(graph, name)
        copies = -(-strength // MAX_GATE_STRENGTH)
        weight, weight_exp = _weight(-(-strength // copies))
        # In the frame of a population of latency n, step k of a sample is time step n + 1 + k. The clock fires once
        # a period; its neurons' delays then cover the last `reach` steps before the next sample.
        fires_at = steps[name] - reach
        clock = Cuba(
            free_name(f"{name}_clock", taken),
            (reach * copies,),
            vth_mant=period - 1,
            bias_mant=1,
            reset=Reset(period, (fires_at + 1) % period),
        )
        delays = np.tile(np.arange(reach), copies)
        clocks.append(clock)
        gates.append(_gate(graph.population(name), clock, -weight, weight_exp, delays))
    return clocks, gates


def _strength(graph: Graph, name: str) -> int:
    """The inhibition that keeps every neuron of a population silent, whatever its inputs do, from any state."""
    p = graph.population(name)
    if not isinstance(p, Cuba):
        raise GraphError(
            f"population {name!r}: a {type(p).__name__} with delayed or recurrent synapses cannot be blanked"
        )
    low, high = current_bounds(graph, name)
    memory = DECAY_ONE / max(int(np.min(p.i_decay_q12)), 1)
    bias = np.maximum(effective_bias(p.bias_mant, p.bias_exp), 0) / (1 << STATE_EXP)
    needed = int(np.ceil(float(np.max(high) * memory + np.max(bias)))) + 1
    if (needed + float(np.max(-low))) * memory >= SUM_LIMIT:
        raise GraphError(
            f"population {name!r}: spikes outlive a reset in delayed or recurrent synapses, and it cannot be held "
            f"below threshold between samples: inhibition of {needed} with a current that sums up {memory:.3g} steps "
            "would wrap 24 bits; use smaller weights, a larger current decay, or no delays there"
        )
    return needed


def _weight(strength: int) -> tuple[int, int]:
    """Even weight of at most 256 and exponent whose product is at least `strength`."""
    weight_exp = next(e for e in range(8) if (256 << e) >= strength)
    weight = -(-strength // (2 << weight_exp)) * 2
    return weight, weight_exp


def _gate(target: Population, clock: Cuba, weight: int, weight_exp: int, delays: npt.NDArray[np.int64]) -> Synapse:
    if len(target.shape) == 1:
        return Dense(
            clock.name,
            target.name,
            weight=np.full((target.size, clock.size), weight),
            weight_exp=weight_exp,
            delay_steps=delays,
        )
    rows, columns = (a.ravel() for a in np.indices((target.size, clock.size)))
    return Sparse(
        clock.name,
        target.name,
        rows=rows,
        columns=columns,
        values=np.full(rows.size, weight),
        weight_exp=weight_exp,
        delay_steps=delays[columns],
    )
