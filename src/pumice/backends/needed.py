"""Which steps of each population an evaluation depends on: the others need not be computed."""

from __future__ import annotations

from collections.abc import Mapping

from pumice.backends.counting import Wanted
from pumice.ir import Graph, Population

Steps = Mapping[str, range]
"""Of populations, by name: from 0, as places in the stream; all steps of one that is not named."""


def needed_steps(graph: Graph, wanted: Wanted) -> dict[str, range]:
    """For each population the steps that decide what is kept of a run.

    Those in which it is counted or read, and those whose output reaches a needed step of another; from the last reset
    at or before them on, because it leaves nothing of what was before. Deep networks with short samples owe most of a
    run to the wait for their last layer, during which the first ones would go on firing from their biases.

    Args:
        graph: A verified graph.
        wanted: What is kept.

    Example:
        >>> from pumice.ir import Timing
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 3, 2], seed=0)
        >>> needed_steps(graph, Wanted.of(graph, Timing(5, 5)))["dense0"]  # no resets: from the first step on
        range(0, 6)
    """
    found = {p.name: _from_reset(p, wanted.counted[p.name]) for p in graph.populations}
    for name in graph.outputs[:1]:
        found[name] = _from_reset(graph.population(name), _hull(found[name], wanted.answer))
    changed = True
    while changed:  # ranges only grow, and no further than the first step
        changed = False
        for s in graph.synapses:
            if s.source not in found:
                continue  # the input is there
            reader = found[s.target]
            first = max(0, reader.start - s.latency_steps - s.max_delay_steps)
            reaching = range(first, max(first, reader.stop - s.latency_steps))
            grown = _from_reset(graph.population(s.source), _hull(found[s.source], reaching))
            changed |= grown != found[s.source]
            found[s.source] = grown
    return found


def _hull(a: range, b: range) -> range:
    if not a or not b:
        return a or b
    return range(min(a.start, b.start), max(a.stop, b.stop))


def _from_reset(p: Population, steps: range) -> range:
    """The steps, and those before them since the last reset; a reset's step t is counted from 1."""
    first = steps.start
    while steps and first > 0 and (p.reset is None or not p.reset.applies(first + 1)):
        first -= 1
    return range(first, steps.stop)
