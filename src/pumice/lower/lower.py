"""Lower a network: read its integers, schedule its resets, and prove the result on an example."""

from __future__ import annotations

import warnings
from typing import get_args

import numpy as np
import torch

from pumice.backends import get_backend
from pumice.errors import GraphError, InternalError, LoweringError, PumiceWarning
from pumice.hardware import violations
from pumice.ir import (
    Graph,
    Input,
    Population,
    Synapse,
    from_stream,
    latencies,
    to_stream,
    torch_to_lava,
)
from pumice.lower.blocks import lower_block, population_name, undelayed
from pumice.nn.deploy import deploy, value_range
from pumice.nn.trace import INPUT, SYNAPTIC, Call, trace
from pumice.passes.check_ranges import check_ranges
from pumice.passes.cost import graph_cost
from pumice.passes.order import run_passes
from pumice.passes.share_currents import Residual

REFERENCE_PRODUCTS = 1 << 32
"""Products of a proof that the reference still computes within seconds; larger ones run on its equal, "fast"."""


def lower(
    model: torch.nn.Module,
    example_input: torch.Tensor,
    *,
    input_range: tuple[int, int] | None = None,
    period_steps: int | None = None,
    residual: Residual = "auto",
) -> Graph:
    """Turn a network into a graph that gives the same spikes, `graph.latency` steps later.

    The network is deployed first if it is not yet (see `pumice.nn.deploy`; it is changed in place). Paths of unequal
    length are balanced by delays. Each population is reset in its own step, when the first input of a sample reaches
    it, so that samples may follow each other; delayed and recurrent spikes are kept from the next sample (see
    `pumice.passes.schedule_resets`).

    Args:
        model: A module that calls `pumice.nn` or lava-dl CUBA blocks one after the other.
        example_input: A batch as in training: (batch, channel, height, width, time) or (batch, n, time), whole
            numbers. Its time axis is the length of a sample.
        input_range: Smallest and largest input value; those of the example if not given. The graph refuses
            input outside.
        period_steps: Steps from one sample's start to the next one's; the next power of two at or above what is
            needed if not given, because chips reset in such intervals.
        residual: How a stream of currents reaches its readers: "synapses" from every branch, "relays" that send
            values, or for each sum what costs less (see `pumice.passes.share_currents`).

    Returns:
        The graph, verified, and equal to the network on the example's first samples at every layer and step.

    Raises:
        LoweringError: A block cannot be lowered exactly; the message names it and the remedy.

    Example:
        >>> from pumice import nn
        >>> params = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}
        >>> graph = lower(torch.nn.Sequential(nn.Dense(params, 3, 2)), torch.ones(1, 3, 5))
        >>> graph.latency, graph.timing.period_steps
        (1, 8)
    """
    if residual not in get_args(Residual):  # before the network is changed
        raise LoweringError(f"residual must be one of {', '.join(get_args(Residual))}, got {residual!r}")
    input_range = value_range(example_input, input_range)
    deploy(model, example_input, input_range=input_range)
    calls = trace(model, example_input)
    sample_steps = int(example_input.shape[-1])
    try:
        graph = run_passes(_assemble(calls, example_input, input_range), sample_steps, period_steps, residual)
    except GraphError as error:
        raise LoweringError(str(error)) from error
    if broken := violations(graph):
        raise LoweringError("the chip cannot hold this network:\n  " + "\n  ".join(broken))
    for line in check_ranges(graph):
        warnings.warn(line, PumiceWarning, stacklevel=2)
    _prove(graph, calls, example_input)
    return graph


def _assemble(calls: list[Call], example_input: torch.Tensor, input_range: tuple[int, int]) -> Graph:
    shape = tuple(int(n) for n in example_input.shape[1:-1][::-1])
    source = Input(INPUT, shape, input_range)
    sources: dict[str, Call | None] = {INPUT: None}
    populations: list[Population] = []
    synapses: list[Synapse] = []
    for call in calls:
        if isinstance(call.block, SYNAPTIC):
            population, arms = lower_block(call, [sources[name] for name in call.sources], input_range)
            populations.append(population)
            synapses += arms
            sources[call.name] = call
        else:
            sources[call.name] = sources[call.sources[0]]
    consumed = {s.source for s in synapses if not s.is_recurrent}
    outputs = tuple(p.name for p in populations if p.name not in consumed)
    for call in calls:
        if isinstance(call.block, SYNAPTIC) and population_name(call) in outputs and call.block.delay is not None:
            raise LoweringError(
                f"block {call.name!r}: delay=True on an output layer: delays act on the next layer's synapses, "
                "and there is none; leave out the delay"
            )
    return Graph(source, tuple(populations), tuple(synapses), outputs)


def _prove(graph: Graph, calls: list[Call], example_input: torch.Tensor) -> None:
    """Stream the example's first samples through a backend and compare every layer's spikes at every step."""
    samples = torch_to_lava(example_input[:2].numpy(force=True)).astype(np.int32)
    stream = to_stream(graph, samples)
    backend = "reference" if len(stream) * graph_cost(graph).synapses <= REFERENCE_PRODUCTS else "fast"
    records = get_backend(backend).run(graph, stream, record=True).records
    steps = latencies(graph)
    silent, read = [], {source for call in calls for source in call.sources}
    for call in calls:
        if not isinstance(call.block, SYNAPTIC):
            continue
        name = population_name(call)
        expected = undelayed(call)[: len(samples)]
        if not expected.any() and call.name in read:
            silent.append(call.name)
        got = from_stream(graph, records[name].s, len(samples), latency=steps[name])
        if len(places := np.argwhere(got != expected)):
            sample, step, *neuron = (int(i) for i in places[0])
            raise InternalError(
                f"the lowered graph differs from the deployed network first at block {call.name!r}, sample {sample}, "
                f"step {step}, neuron {tuple(neuron)}; {len(places)} spikes of it differ"
            )
    if silent:
        more = f" and {len(silent) - 1} more blocks" if silent[1:] else ""
        warnings.warn(
            f"nothing fires in {silent[0]!r}{more} on the example's first samples, so the proof says "
            "little about what follows; give an example that makes them fire, or look at their thresholds",
            PumiceWarning,
            stacklevel=3,
        )
