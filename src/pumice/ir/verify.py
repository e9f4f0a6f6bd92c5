"""Is a graph well formed? All violations are collected, then reported at once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pumice.errors import GraphError, InputError
from pumice.fixedpoint import conv_output_shape
from pumice.fixedpoint.formats import BIAS_EXP, DECAY, DELAY_STEPS, WEIGHT, WEIGHT_EXP
from pumice.ir.graph import Graph
from pumice.ir.population import Accumulator, Cuba, Delta, Population, Resonator, Sigma, SigmaDelta
from pumice.ir.schedule import latencies
from pumice.ir.synapse import Conv, Dense, Direct, OneToOne, Sparse, Synapse, TokenMixing


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
    problems = [*_names(checked_graph(graph))]
    if not problems:
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
        raise InputError(f"a Graph is needed, got a model ({got}); pumice.lower makes a graph of it")
    raise InputError(f"a Graph is needed, got {got}; pumice.load and pumice.lower give one")


def _names(graph: Graph) -> Iterator[str]:
    names = Counter([graph.input.name, *(p.name for p in graph.populations)])
    targets = {p.name for p in graph.populations}
    for name in sorted(n for n, times in names.items() if times > 1):
        yield f"the name {name!r} is used {names[name]} times; names must be unique"
    if not graph.outputs:
        yield "no output is named"
    for name in graph.outputs:
        if name not in targets:
            yield f"output {name!r} is no population"
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


def _integers(label: str, value: Any, low: int, high: int) -> Iterator[str]:
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.integer):
        yield f"{label} must be integers, got {array.dtype}"
    elif array.size and (int(array.min()) < low or int(array.max()) > high):
        found = f"{array.min()}" if array.size == 1 else f"{array.min()} to {array.max()}"
        yield f"{label} must lie in {low}..{high}, got {found}"


def _leaky(p: Cuba | Accumulator) -> Iterator[str]:
    yield from _parameter(p, "i_decay_q12", *DECAY)
    yield from _parameter(p, "v_decay_q12", *DECAY)
    yield from _parameter(p, "bias_mant", -(2**15), 2**15 - 1)
    yield from _scalar(p, "bias_exp", *BIAS_EXP)


def _cuba(p: Cuba) -> Iterator[str]:
    yield from _scalar(p, "vth_mant", 0, 2**18 - 1)
    yield from _leaky(p)


def _change_sender(p: Delta | SigmaDelta) -> Iterator[str]:
    yield from _scalar(p, "vth", 0, 2**31 - 1)
    yield from _scalar(p, "spike_exp", 0, 7)
    yield from _scalar(p, "state_exp", 0, 7)


def _sigma_delta(p: SigmaDelta) -> Iterator[str]:
    yield from _change_sender(p)
    yield from _parameter(p, "bias", -(2**31), 2**31 - 1)


def _resonator(p: Resonator) -> Iterator[str]:
    yield from _scalar(p, "vth", 0, 2**31 - 1)
    yield from _parameter(p, "sin_decay", -(2**15), 2**15 - 1)
    yield from _parameter(p, "cos_decay", -(2**15), 2**15 - 1)
    yield from _scalar(p, "state_exp", 0, 7)
    yield from _scalar(p, "decay_bits", 0, 12)


def _parameter(p: Population, label: str, low: int, high: int) -> Iterator[str]:
    """A number, or an array that broadcasts against the population's shape."""
    value = getattr(p, label)
    yield from _integers(label, value, low, high)
    try:
        np.broadcast_to(np.asarray(value), p.shape)
    except ValueError:
        yield f"{label} of shape {np.shape(value)} does not fit the population's shape {p.shape}"


def _scalar(p: Population, label: str, low: int, high: int) -> Iterator[str]:
    yield from _integers(label, getattr(p, label), low, high)
    if np.ndim(getattr(p, label)):
        yield f"{label} must be one number, got shape {np.shape(getattr(p, label))}"


_POPULATION_CHECKS: dict[type[Population], Callable[[Any], Iterator[str]]] = {
    Cuba: _cuba,
    Accumulator: _leaky,
    Sigma: lambda _: iter(()),
    Delta: _change_sender,
    SigmaDelta: _sigma_delta,
    Resonator: _resonator,
}


def _population(p: Population) -> Iterator[str]:
    check = _POPULATION_CHECKS.get(type(p))
    if check is None:
        yield f"unknown kind {type(p).__name__}; known: {', '.join(k.__name__ for k in _POPULATION_CHECKS)}"
        return
    if p.reset is not None and not p.can_reset:
        yield f"a {type(p).__name__} cannot be reset"
    if p.reset is not None and (p.reset.interval < 1 or p.reset.offset < 0):
        yield f"reset interval must be >= 1 and offset >= 0, got {p.reset}"
    yield from check(p)


def _target_shape(graph: Graph, s: Synapse) -> tuple[int, ...]:
    """Shape of that part of the target which the synapse feeds."""
    shape = graph.shape_of(s.target)
    first, stop = s.target_channels or (0, shape[-1])
    return (*shape[:-1], stop - first)


def _dense(graph: Graph, s: Dense) -> Iterator[str]:
    source, target = graph.shape_of(s.source), _target_shape(graph, s)
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
    yield from _integers("weight", s.weight, *WEIGHT)
    yield from _integers("weight_exp", s.weight_exp, *WEIGHT_EXP)
    yield from _integers("delay_steps", s.delay_steps, *DELAY_STEPS)


def _conv(graph: Graph, s: Conv) -> Iterator[str]:
    source, target = graph.shape_of(s.source), _target_shape(graph, s)
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
    yield from _integers("weight", s.weight, -(2**15), 2**15 - 1)
    yield from _channel_delays(source, s)


def _sparse(graph: Graph, s: Sparse) -> Iterator[str]:
    n = s.values.shape
    if len(n) != 1 or s.rows.shape != n or s.columns.shape != n:
        yield f"rows, columns and values must have one length, got {s.rows.shape}, {s.columns.shape} and {n}"
        return
    yield from _integers("rows", s.rows, 0, int(np.prod(_target_shape(graph, s))) - 1)
    yield from _integers("columns", s.columns, 0, int(np.prod(graph.shape_of(s.source))) - 1)
    yield from _integers("values", s.values, *WEIGHT)
    yield from _integers("weight_exp", s.weight_exp, *WEIGHT_EXP)
    if np.shape(s.delay_steps) not in ((), n):
        yield f"delay_steps must be one number or one per weight {n}, got shape {np.shape(s.delay_steps)}"
    yield from _integers("delay_steps", s.delay_steps, *DELAY_STEPS)


def _one_to_one(graph: Graph, s: OneToOne) -> Iterator[str]:
    source, target = graph.shape_of(s.source), _target_shape(graph, s)
    if source != target:
        yield f"shapes must be equal, got {source} and {target}"
    if np.shape(s.weight) not in ((), source[-1:], source):
        allowed = f"one number, one per channel {source[-1:]} or one per neuron {source}"
        yield f"weight must be {allowed}, got {np.shape(s.weight)}"
    yield from _integers("weight", s.weight, *WEIGHT)
    yield from _integers("weight_exp", s.weight_exp, *WEIGHT_EXP)
    yield from _channel_delays(source, s)


def _token_mixing(graph: Graph, s: TokenMixing) -> Iterator[str]:
    source, target = graph.shape_of(s.source), _target_shape(graph, s)
    if len(source) != 3 or source != target:
        yield f"token mixing keeps an image's shape (x, y, channel), got {source} and {target}"
        return
    tokens = source[0] * source[1]
    if s.weight.ndim != 3 or s.weight.shape[1:] != (tokens, tokens):
        yield f"weight must have shape (heads, {tokens}, {tokens}), got {s.weight.shape}"
    elif source[2] % len(s.weight):
        yield f"{len(s.weight)} heads do not divide {source[2]} channels"
    yield from _integers("weight", s.weight, *WEIGHT)
    yield from _integers("weight_exp", s.weight_exp, *WEIGHT_EXP)
    yield from _channel_delays(source, s)


def _channel_delays(source: tuple[int, ...], s: Conv | OneToOne | TokenMixing) -> Iterator[str]:
    if np.shape(s.delay_steps) not in ((), source[-1:]):
        yield f"delay_steps must be one number or one per channel {source[-1:]}, got {np.shape(s.delay_steps)}"
    yield from _integers("delay_steps", s.delay_steps, *DELAY_STEPS)


def _direct(graph: Graph, s: Direct) -> Iterator[str]:
    if s.source != graph.input.name:
        yield "only the network's input may feed a population directly, without a synapse's one step of latency"
    if s.balance_steps or s.target_channels:
        yield "a direct input has no delay and feeds the whole population"
    if graph.shape_of(s.source) != graph.shape_of(s.target):
        yield f"shapes must be equal, got {graph.shape_of(s.source)} and {graph.shape_of(s.target)}"


_SYNAPSE_CHECKS: dict[type[Synapse], Callable[[Graph, Any], Iterator[str]]] = {
    Dense: _dense,
    Sparse: _sparse,
    Conv: _conv,
    OneToOne: _one_to_one,
    TokenMixing: _token_mixing,
    Direct: _direct,
}


def _synapse(graph: Graph, synapse: Synapse) -> Iterator[str]:
    check = _SYNAPSE_CHECKS.get(type(synapse))
    if check is None:
        yield f"unknown kind {type(synapse).__name__}; known: {', '.join(k.__name__ for k in _SYNAPSE_CHECKS)}"
        return
    target = graph.population(synapse.target)
    if synapse.part not in target.parts:
        yield f"part {synapse.part!r}: a {type(target).__name__} has {', '.join(target.parts)}"
    if synapse.target_channels is not None:
        first, stop = synapse.target_channels
        if not 0 <= first < stop <= target.shape[-1]:
            yield f"target_channels must satisfy 0 <= first < stop <= {target.shape[-1]}, got {first}, {stop}"
            return
    yield from _integers("balance_steps", synapse.balance_steps, *DELAY_STEPS)
    yield from check(graph, synapse)
    longest = synapse.max_delay_steps + synapse.balance_steps
    if longest > DELAY_STEPS.high and synapse.max_delay_steps <= DELAY_STEPS.high:
        yield f"delay_steps and balance_steps together must not exceed {DELAY_STEPS.high}, got {longest}"


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
    if not 1 <= timing.sample_steps <= timing.period_steps or timing.lead_steps < 0:
        yield f"timing: 1 <= sample_steps <= period_steps and lead_steps >= 0 are broken by {timing}"
