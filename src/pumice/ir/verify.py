"""Is a graph well formed? All violations are collected, then reported at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pumice.errors import GraphError
from pumice.fixedpoint import conv_output_shape
from pumice.ir.graph import Graph
from pumice.ir.population import Cuba
from pumice.ir.schedule import latencies
from pumice.ir.synapse import Conv, Dense, Direct, Synapse

MAX_DELAY_STEPS = 62
"""lava-dl and NetX stop at 62; the chip's 6 bits would hold 63."""


def verify_graph(graph: Graph) -> Graph:
    """Check names, shapes, integer ranges and dangling ends; what is not exact on Lava's models is refused.

    These are the limits of the arithmetic itself (what Lava's CPU models compute); the tighter limits of a
    chip are in `pumice.hardware`.

    Args:
        graph: Any graph.

    Returns:
        The same graph.

    Raises:
        GraphError: One message that lists every violation with its place.
    """
    problems = [*_names(graph)]
    if not problems:
        for population in graph.populations:
            problems += _population(population)
        for synapse in graph.synapses:
            problems += [f"synapse {synapse.source} -> {synapse.target}: {p}" for p in _synapse(graph, synapse)]
        problems += _connectivity(graph)
        problems += _timing(graph)
    if problems:
        raise GraphError("the graph is not valid:\n  " + "\n  ".join(problems) if len(problems) > 1 else problems[0])
    return graph


def _names(graph: Graph) -> Iterator[str]:
    names = [graph.input.name, *(p.name for p in graph.populations)]
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield f"the name {name!r} is used {names.count(name)} times; names must be unique"
    if not graph.outputs:
        yield "no output is named"
    for name in graph.outputs:
        if name not in names[1:]:
            yield f"output {name!r} is no population"
    for synapse in graph.synapses:
        if synapse.source not in names:
            yield f"synapse {synapse.source} -> {synapse.target}: there is no source {synapse.source!r}"
        if synapse.target not in names[1:]:
            yield f"synapse {synapse.source} -> {synapse.target}: there is no target population {synapse.target!r}"
    for name, shape in [
        (graph.input.name, graph.input.shape),
        *((p.name, p.shape) for p in graph.populations),
    ]:
        if len(shape) not in (1, 3) or any(n < 1 for n in shape):
            yield f"{name}: shape must be (x, y, channel) or (features,) with sizes >= 1, got {shape}"


def _integers(label: str, value: Any, low: int, high: int) -> Iterator[str]:
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.integer):
        yield f"{label} must be integers, got {array.dtype}"
    elif array.size and (int(array.min()) < low or int(array.max()) > high):
        found = f"{array.min()}" if array.size == 1 else f"{array.min()} to {array.max()}"
        yield f"{label} must lie in {low}..{high}, got {found}"


def _population(p: Cuba) -> Iterator[str]:
    where = f"population {p.name}: "
    for label, value, low, high in (
        ("vth_mant", p.vth_mant, 0, 2**17 * 2 - 1),
        ("i_decay_q12", p.i_decay_q12, 0, 4096),
        ("v_decay_q12", p.v_decay_q12, 0, 4096),
        ("bias_mant", p.bias_mant, -(2**15), 2**15 - 1),
        ("bias_exp", p.bias_exp, 0, 7),
    ):
        yield from (where + text for text in _integers(label, value, low, high))
        try:
            np.broadcast_to(np.asarray(value), p.shape)
        except ValueError:
            yield f"{where}{label} of shape {np.shape(value)} does not fit the population's shape {p.shape}"
    if p.reset is not None and (p.reset.interval < 1 or p.reset.offset < 0):
        yield f"{where}reset interval must be >= 1 and offset >= 0, got {p.reset}"


def _dense(graph: Graph, s: Dense) -> Iterator[str]:
    source, target = graph.shape_of(s.source), graph.shape_of(s.target)
    expected = (int(np.prod(target)), int(np.prod(source)))
    if len(target) != 1:
        yield f"a dense synapse ends in a population of one dimension, got {target}"
    if s.weight.shape != expected:
        yield f"weight must have shape (n_target, n_source) = {expected}, got {s.weight.shape}"
    if np.shape(s.delay_steps) not in ((), (expected[1],), expected):
        yield (
            f"delay_steps must be one number, one per source neuron ({expected[1]},) or one per weight {expected}, "
            f"got shape {np.shape(s.delay_steps)}"
        )
    yield from _integers("weight", s.weight, -256, 255)
    yield from _integers("weight_exp", s.weight_exp, 0, 7)
    yield from _integers("delay_steps", s.delay_steps, 0, MAX_DELAY_STEPS)


def _conv(graph: Graph, s: Conv) -> Iterator[str]:
    source, target = graph.shape_of(s.source), graph.shape_of(s.target)
    if len(source) != 3 or len(target) != 3:
        yield f"a convolution joins shapes (x, y, channel), got {source} and {target}"
        return
    if s.weight.ndim != 4:
        yield f"weight must have 4 dimensions (out, kernel_x, kernel_y, in / groups), got shape {s.weight.shape}"
        return
    for label, pair, low in (("stride", s.stride, 1), ("padding", s.padding, 0), ("dilation", s.dilation, 1)):
        if len(pair) != 2 or any(n < low for n in pair):
            yield f"{label} must be two integers (x, y) >= {low}, got {pair}"
            return
    if s.groups < 1 or source[2] % s.groups or s.weight.shape[0] % s.groups:
        yield f"groups = {s.groups} must divide the channels in ({source[2]}) and out ({s.weight.shape[0]})"
        return
    if s.weight.shape[3] * s.groups != source[2]:
        yield f"weight has {s.weight.shape[3]} channels in each of {s.groups} groups, the source has {source[2]}"
    if (found := conv_output_shape(source, s.weight.shape, s.stride, s.padding, s.dilation)) != target:
        yield f"the convolution gives shape {found}, its target has {target}"
    if np.shape(s.delay_steps) not in ((), (source[2],)):
        yield f"delay_steps must be one number or one per channel ({source[2]},), got {np.shape(s.delay_steps)}"
    yield from _integers("weight", s.weight, -(2**15), 2**15 - 1)
    yield from _integers("delay_steps", s.delay_steps, 0, MAX_DELAY_STEPS)


def _direct(graph: Graph, s: Direct) -> Iterator[str]:
    if s.source != graph.input.name:
        yield "only the network's input may feed a population directly, without a synapse's one step of latency"
    if graph.shape_of(s.source) != graph.shape_of(s.target):
        yield f"shapes must be equal, got {graph.shape_of(s.source)} and {graph.shape_of(s.target)}"


_CHECKS: dict[type[Synapse], Callable[[Graph, Any], Iterator[str]]] = {
    Dense: _dense,
    Conv: _conv,
    Direct: _direct,
}


def _synapse(graph: Graph, synapse: Synapse) -> Iterator[str]:
    check = _CHECKS.get(type(synapse))
    if check is None:
        yield f"unknown kind {type(synapse).__name__}; known: {', '.join(k.__name__ for k in _CHECKS)}"
    else:
        yield from check(graph, synapse)


def _connectivity(graph: Graph) -> Iterator[str]:
    try:
        latencies(graph)
    except GraphError as error:
        yield str(error)
    if not any(graph.out_of(graph.input.name)):
        yield f"the input {graph.input.name!r} is not connected to anything"


def _timing(graph: Graph) -> Iterator[str]:
    if graph.timing is not None and not 1 <= graph.timing.sample_steps <= graph.timing.period_steps:
        yield f"timing: 1 <= sample_steps <= period_steps is broken by {graph.timing}"
