"""Is a graph well formed? All violations are collected, then reported at once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pumice.errors import GraphError, InputError
from pumice.files.text import name_problem
from pumice.ir.certificate import Certificate
from pumice.ir.field_types import type_problems
from pumice.ir.graph import Graph, Timing
from pumice.ir.input import Input
from pumice.ir.limits import SIGNED_32, STEPS, out_of_range
from pumice.ir.own_kinds import population_kinds, synapse_kinds
from pumice.ir.populations import Population
from pumice.ir.reset import Reset
from pumice.ir.schedule import latencies
from pumice.ir.synapses import Synapse


def verify_graph(graph: Graph) -> Graph:
    """Check names, shapes, integer ranges and dangling ends; what is not exact on Lava's models is refused.

    These are the limits of the arithmetic itself (what Lava's CPU models compute); the tighter limits of a
    chip are in `pumice.hardware`.

    Args:
        graph: Any graph.

    Returns:
        The same graph.

    Raises:
        InputError: It is no graph, but a path or a model, say.
        GraphError: One message that lists every violation with its place.
    """
    problems = [*_types(checked_graph(graph))] or [*_names(graph)]
    if not problems:
        problems += _value_range(graph)
        for population in graph.populations:
            problems += [f"population {population.name}: {p}" for p in _population(population)]
        for synapse in graph.synapses:
            problems += [f"synapse {synapse.source} -> {synapse.target}: {p}" for p in _synapse(graph, synapse)]
        problems += _connectivity(graph)
        problems += _timing(graph)
    if problems:
        raise GraphError("the graph is not valid:\n  " + "\n  ".join(problems) if len(problems) > 1 else problems[0])
    return graph


def checked_graph(value: object) -> Graph:
    """The same value if it is a graph.

    Raises:
        InputError: It is none; the message says how to make one of it.
    """
    if isinstance(value, Graph):
        return value
    if isinstance(value, str | os.PathLike):
        raise InputError(f"a Graph is needed, got the path {str(value)!r}; pumice.load reads a graph from a file")
    got = type(value).__name__
    if hasattr(value, "state_dict"):
        raise InputError(f"a Graph is needed, got a model ({got}); pumice.lower makes one of it")
    raise InputError(f"a Graph is needed, got {got}; pumice.load and pumice.lower give one")


def _types(graph: Any) -> Iterator[str]:
    """What is no number, array, name or part where one has to be: all else is computed with them."""
    yield from type_problems(graph)
    yield from _part("the input", graph.input, Input)
    yield from _part("timing", graph.timing, Timing, may_be_none=True)
    yield from _part("certificate", graph.certificate, Certificate, may_be_none=True)
    for label, group, kind in (("populations", graph.populations, Population), ("synapses", graph.synapses, Synapse)):
        if not isinstance(group, tuple | list):
            yield f"{label} must be a tuple, got {group!r:.60}"
            continue
        for k, part in enumerate(group):
            where = _place(part, f"{label}[{k}]")
            yield from _part(where, part, kind)
            if isinstance(part, Population):
                yield from _part(f"{where}: reset", part.reset, Reset, may_be_none=True)


def _part(where: str, part: Any, kind: type[Any], *, may_be_none: bool = False) -> Iterator[str]:
    if isinstance(part, kind):
        yield from (f"{where}: {problem}" for problem in type_problems(part))
    elif part is not None or not may_be_none:
        yield f"{where} must be of the kind {kind.__name__}, got {part!r:.60}"


def _place(part: Any, otherwise: str) -> str:
    if isinstance(part, Population):
        return f"population {part.name!r:.60}"
    return f"synapse {part.source!r:.60} -> {part.target!r:.60}" if isinstance(part, Synapse) else otherwise


def _names(graph: Graph) -> Iterator[str]:
    names = Counter(graph.names)
    targets = {p.name for p in graph.populations}
    for name in sorted(n for n, times in names.items() if times > 1):
        yield f"the name {name!r} is used {names[name]} times; names must be unique"
    for name in names:
        if (problem := name_problem(name)) is not None:
            yield f"a name {problem}"
    if not graph.outputs:
        yield "no output is named"
    for name, times in Counter(graph.outputs).items():
        if name not in targets:
            yield f"output {name!r} is no population"
        elif times > 1:
            yield f"output {name!r} is named {times} times; what leaves it leaves once"
    for synapse in graph.synapses:
        if synapse.source not in names:
            yield f"synapse {synapse.source} -> {synapse.target}: there is no source {synapse.source!r}"
        if synapse.target not in targets:
            yield f"synapse {synapse.source} -> {synapse.target}: there is no target population {synapse.target!r}"
    for name, shape in [
        (graph.input.name, graph.input.shape),
        *((p.name, p.shape) for p in graph.populations),
    ]:
        if len(shape) not in (1, 3) or any(n < 1 for n in shape):
            yield f"{name}: shape must be (x, y, channel) or (features,) with sizes >= 1, got {shape}"


def _value_range(graph: Graph) -> Iterator[str]:
    if (found := graph.input.value_range) is not None:
        yield from out_of_range("the input's value_range", found, *SIGNED_32)
        if found[0] > found[1]:
            yield f"the input's value_range must be the smallest and the largest value, got {found}"


def _population(p: Population) -> Iterator[str]:
    if type(p) not in population_kinds():
        yield f"unknown kind {type(p).__name__}; known: {', '.join(k.__name__ for k in population_kinds())}"
        return
    yield from p.problems()


def _synapse(graph: Graph, synapse: Synapse) -> Iterator[str]:
    if type(synapse) not in synapse_kinds():
        yield f"unknown kind {type(synapse).__name__}; known: {', '.join(k.__name__ for k in synapse_kinds())}"
        return
    target = graph.population(synapse.target)
    if synapse.part not in target.parts:
        yield f"part {synapse.part!r}: a {type(target).__name__} has {', '.join(target.parts)}"
    if synapse.target_channels is not None:
        first, stop = synapse.target_channels
        if not 0 <= first < stop <= target.shape[-1]:
            yield f"target_channels must satisfy 0 <= first < stop <= {target.shape[-1]}, got {first}, {stop}"
            return
    if synapse.hop_steps == 0 and synapse.source != graph.input.name:
        yield "only the network's input may feed a population directly, without a synapse's one step of latency"
    yield from synapse.all_problems(*graph.ends_of(synapse))


def _connectivity(graph: Graph) -> Iterator[str]:
    try:
        latencies(graph)
    except GraphError as error:
        yield str(error)
    if not any(graph.out_of(graph.input.name)):
        yield f"the input {graph.input.name!r} is not connected to anything"


def _timing(graph: Graph) -> Iterator[str]:
    timing = graph.timing
    if timing is None:
        return
    steps = timing.sample_steps, timing.period_steps, timing.lead_steps
    if not all(isinstance(n, int) and n <= STEPS.high for n in steps):
        yield f"timing: all steps must be integers of at most {STEPS.high}, got {timing}"
    elif not 1 <= timing.sample_steps <= timing.period_steps or timing.lead_steps < 0:
        yield f"timing: 1 <= sample_steps <= period_steps and lead_steps >= 0 are broken by {timing}"
