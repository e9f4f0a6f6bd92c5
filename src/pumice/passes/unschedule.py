"""Take a graph's schedule away, so that passes can change it and schedule it again."""

from __future__ import annotations

from dataclasses import replace

from pumice.errors import GraphError
from pumice.ir import Graph, check_known
from pumice.ir.schedule import is_autonomous, without_resets
from pumice.passes.base import PassResult


def unschedule(graph: Graph) -> PassResult:
    """Undo `schedule_resets` and `balance_latency`: no resets, no timing, no delays that balance paths.

    The certificate goes, too: it is about the steps of the schedule.

    Args:
        graph: Any graph.

    Returns:
        The graph without a schedule; the same if it has none.

    Raises:
        GraphError: The schedule has clocks, or delays within loops, which a network cannot lose, or a kind is not
            known.

    Example:
        >>> from pumice.ir.builder import chain
        >>> from pumice.passes.schedule_resets import schedule_resets
        >>> scheduled = schedule_resets(chain((4,), [3], seed=0), sample_steps=5).graph
        >>> unschedule(scheduled).graph.populations[0].reset is None
        True
    """
    check_known(graph)
    if graph.timing is None:
        return PassResult(graph, False)
    place = {p.name: k for k, p in enumerate(graph.populations)}
    in_loops = any(s.balance_steps and place.get(s.source, -1) >= place[s.target] for s in graph.synapses)
    if graph.timing.lead_steps or in_loops or any(p.reset and is_autonomous(graph, p) for p in graph.populations):
        raise GraphError(
            "the schedule has clocks, or delays within loops, that hold spikes back between samples; lower the "
            "network again from its checkpoint instead of changing its graph"
        )
    synapses = tuple(replace(s, balance_steps=0) for s in graph.synapses)
    return PassResult(without_resets(graph).replace(synapses=synapses, timing=None, certificate=None), True)
