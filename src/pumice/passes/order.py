"""From the graph of a quantized network to one that runs on a chip: the passes, in order, with reasons.

What is done before, to the network (fold norms, choose scales, round), is `pumice.quantization`: a graph holds
integers, in which no norm is left to fold. What is done after changes nothing: `pumice.passes.check_ranges`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pumice.errors import GraphError, InternalError
from pumice.ir import Graph, latencies, verify_graph
from pumice.passes.balance_latency import balance_latency
from pumice.passes.base import PassResult, check_unscheduled
from pumice.passes.insert_relays import insert_relays
from pumice.passes.prune_dead import prune_dead
from pumice.passes.schedule_resets import schedule_resets
from pumice.passes.share_currents import Residual, share_currents
from pumice.passes.sparsify import sparsify
from pumice.passes.split_fan_in import Cores, split_fan_in


@dataclass(frozen=True)
class Settings:
    """What passes are told.

    Attributes:
        sample_steps: Steps of one sample.
        period_steps: See `schedule_resets`.
        residual: See `share_currents`.
        sparse_below: See `sparsify`.
        cores: See `split_fan_in`.
    """

    sample_steps: int
    period_steps: int | None = None
    residual: Residual = "auto"
    sparse_below: float = 0.0
    cores: Cores | None = None


Check = Callable[[Graph], object]
"""Raises `GraphError` if a graph is not as it must be."""


@dataclass(frozen=True)
class Pass:
    """One pass and its contract.

    Attributes:
        name: What it is called in messages.
        run: The pass.
        why: Why it is where it is in the order.
        requires: What it can rely on.
        ensures: What the passes behind it can rely on.
    """

    name: str
    run: Callable[[Graph, Settings], PassResult]
    why: str
    requires: Check
    ensures: Check


PASSES = (
    Pass(
        "prune_dead",
        lambda graph, _: prune_dead(graph),
        "What is dead must not lengthen a path.",
        requires=check_unscheduled,
        ensures=check_unscheduled,
    ),
    Pass(
        "share_currents",
        lambda graph, settings: share_currents(graph, settings.residual),
        "Of what is alive; a relay lengthens the paths through it, which are balanced after it.",
        requires=check_unscheduled,
        ensures=check_unscheduled,
    ),
    Pass(
        "sparsify",
        lambda graph, settings: sparsify(graph, settings.sparse_below),
        "Of what is stored in the end: what is shared was one synapse before.",
        requires=check_unscheduled,
        ensures=check_unscheduled,
    ),
    Pass(
        "split_fan_in",
        lambda graph, settings: split_fan_in(graph, settings.cores),
        "Of synapses in their last form; parts lengthen the paths through them, which are balanced after it.",
        requires=check_unscheduled,
        ensures=check_unscheduled,
    ),
    Pass(
        "balance_latency",
        lambda graph, _: balance_latency(graph),
        "Latencies must be equal before anything refers to them.",
        requires=check_unscheduled,
        ensures=latencies,
    ),
    Pass(
        "insert_relays",
        lambda graph, _: insert_relays(graph),
        "Only a balanced graph tells which delays are too long; relays need a place in the schedule.",
        requires=latencies,
        ensures=verify_graph,
    ),
    Pass(
        "schedule_resets",
        lambda graph, settings: schedule_resets(graph, settings.sample_steps, settings.period_steps),
        "Resets follow the latencies, and clocks the range of everything that feeds a population.",
        requires=verify_graph,
        ensures=verify_graph,
    ),
)


def run_passes(
    graph: Graph,
    sample_steps: int,
    period_steps: int | None = None,
    residual: Residual = "auto",
    sparse_below: float = 0.0,
    *,
    cores: Cores | None = None,
) -> Graph:
    """Turn the graph of a quantized network into one that runs on a chip, samples back to back: `PASSES`.

    Args:
        graph: Populations and synapses as the network computes them, without latency.
        sample_steps: Steps of one sample.
        period_steps: See `schedule_resets`.
        residual: See `share_currents`.
        sparse_below: See `sparsify`.
        cores: See `split_fan_in`.

    Returns:
        The graph, verified.

    Raises:
        GraphError: A pass cannot do its work exactly; the message names the pass and the place.

    Example:
        >>> from pumice.ir.builder import chain
        >>> run_passes(chain((4,), [3, 2], seed=0), sample_steps=5).timing.period_steps
        8
    """
    settings = Settings(sample_steps, period_steps, residual, sparse_below, cores)
    for step in PASSES:
        graph = _run(step, graph, settings)
    return graph


def _run(step: Pass, graph: Graph, settings: Settings) -> Graph:
    try:
        step.requires(graph)
        result = step.run(graph, settings)
        step.ensures(result.graph)
    except GraphError as error:
        raise GraphError(f"{step.name}: {error}") from error
    if result.modified != (result.graph is not graph):
        raise InternalError(f"{step.name} says modified={result.modified}, which its graph contradicts")
    return result.graph
