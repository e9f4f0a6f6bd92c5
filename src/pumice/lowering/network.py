"""Lower a network: read its integers, schedule its resets, and prove the result on an example."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import get_args

import numpy as np
import torch

from pumice.backends import get_backend
from pumice.errors import GraphError, InternalError, LoweringError, PumiceWarning
from pumice.hardware import LOIHI2, ChipLimits, load_constants, violations
from pumice.ir import (
    Graph,
    Input,
    Population,
    Synapse,
    from_stream,
    latencies,
    remembers,
    to_stream,
    torch_to_lava,
)
from pumice.lowering.blocks import lower_block, undelayed, unit_of
from pumice.lowering.sigma_delta import biases
from pumice.lowering.synapses import population_name
from pumice.passes.check_ranges import check_ranges
from pumice.passes.cost import graph_cost
from pumice.passes.order import Settings, run_passes
from pumice.passes.share_currents import Residual
from pumice.planner.placement import cores_needed, unplaceable
from pumice.planner.split import Rules
from pumice.quantization.compiled import original
from pumice.quantization.quantize import quantize_, undisturbed, value_range
from pumice.quantization.sigma_delta import sends_changes
from pumice.quantization.trace import INPUT, SYNAPTIC, Call, Trace, trace_model

REFERENCE_PRODUCTS = 1 << 32
"""Products of a proof that the reference still computes within seconds; larger ones run on its equal, "fast"."""


def lower(
    model: torch.nn.Module,
    example_input: torch.Tensor,
    *,
    input_range: tuple[int, int] | None = None,
    period_steps: int | None = None,
    residual: Residual = "auto",
    sparse_below: float = 0.0,
    keep: Sequence[str] = (),
    chip: ChipLimits | None = LOIHI2,
) -> Graph:
    """Turn a network into a graph that gives the same spikes, `graph.latency` steps later.

    The network is deployed first if it is not yet (see `pumice.quantize_`; it is changed in place). Paths of unequal
    length are balanced by delays. Each population is reset in its own step, when the first input of a sample reaches
    it, so that samples may follow each other; delayed and recurrent spikes are kept from the next sample (see
    `pumice.passes.schedule_resets`). Sigma-delta neurons have no reset: each sample is a run of its own (see
    `pumice.ir.remembers`).

    Args:
        model: A module that calls `pumice.nn` blocks, or lava-dl's CUBA or sigma-delta blocks, one after the other.
        example_input: A batch as in training: (batch, channel, height, width, time) or (batch, n, time), whole
            numbers. Its time axis is the length of a sample.
        input_range: Smallest and largest input value; those of the example if not given. The graph refuses
            input outside.
        period_steps: Steps from one sample's start to the next one's; the next power of two at or above what is
            needed if not given, because chips reset in such intervals.
        residual: How a stream of currents reaches its readers: "synapses" from every branch, "relays" that send
            values, or for each sum what costs less (see `pumice.passes.share_currents`).
        sparse_below: Layers with a smaller share of weights that are not 0, of pruned networks, become sparse
            synapses (see `pumice.passes.sparsify`).
        keep: Names of blocks that the model calls and does not return, to be outputs behind those that it returns.
        chip: What the graph is for: a population with more inputs than a core can read gets relays that sum them in
            parts, one step more (see `pumice.passes.split_fan_in`); a network of which some population fits no core
            with them, either, is refused (see `pumice.plan`, which also says whether the whole fits a board). None:
            it is lowered as it is, and `graph.info["chip"]` says so; its integers still fit the registers of Loihi 2.

    Returns:
        The graph, verified, and equal to the network on the example's first samples at every layer and step. Its
        outputs are what the model returns, in that order; where the model returns a dictionary, its keys are
        `graph.info["outputs"]`. What is returned twice is one output.

    Raises:
        LoweringError: A block cannot be lowered exactly; the message names it and the remedy. The model is then what
            it was before.

    Example:
        >>> from pumice import nn
        >>> params = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}
        >>> graph = lower(torch.nn.Sequential(nn.Dense(params, 3, 2)), torch.ones(1, 3, 5))
        >>> graph.latency, graph.timing.period_steps
        (1, 8)
    """
    if residual not in get_args(Residual):  # before the network is changed
        raise LoweringError(f"residual must be one of {', '.join(get_args(Residual))}, got {residual!r}")
    if not isinstance(sparse_below, (int, float)) or not 0 <= sparse_below <= 1:
        raise LoweringError(f"sparse_below must be a share of the weights, 0 to 1, got {sparse_below!r}")
    if period_steps is not None and (not isinstance(period_steps, (int, np.integer)) or period_steps < 1):
        raise LoweringError(f"period_steps must be a whole number of steps >= 1, or None, got {period_steps!r}")
    if isinstance(keep, str):
        raise LoweringError(f"keep must be names of blocks, a sequence, got the name {keep!r}; give ({keep!r},)")
    if chip is not None and not isinstance(chip, ChipLimits):
        raise LoweringError(f"chip must be a pumice.hardware.ChipLimits, or None, got {chip!r}")
    input_range = value_range(example_input, input_range)
    cores = None if chip is None else partial(cores_needed, rules=Rules(load_constants()))
    options = Settings(int(example_input.shape[-1]), period_steps, residual, sparse_below, cores)
    model = original(model)
    with undisturbed(model, example_input) as example:
        return _lower(model, example, input_range, options, keep, chip=chip)


def _lower(
    model: torch.nn.Module,
    example_input: torch.Tensor,
    input_range: tuple[int, int],
    options: Settings,
    keep: Sequence[str],
    *,
    chip: ChipLimits | None,
) -> Graph:
    quantize_(model, example_input, input_range=input_range)
    traced = trace_model(model, example_input)
    calls = traced.calls
    try:
        graph = run_passes(_assemble(traced, keep, example_input, input_range), **vars(options))
    except GraphError as error:
        raise LoweringError(str(error)) from error
    if broken := violations(graph, chip or LOIHI2):
        raise LoweringError("the chip cannot hold this network:\n  " + "\n  ".join(broken))
    graph = _for_chip(graph, chip)
    for line in check_ranges(graph):
        warnings.warn(line, PumiceWarning, stacklevel=3)
    _prove(graph, calls, example_input)
    return graph


def _for_chip(graph: Graph, chip: ChipLimits | None) -> Graph:
    """Refuse what no core can hold or, for no chip, say that nobody looked."""
    if chip is None:
        return graph.replace(info={**graph.info, "chip": "none: whether its cores hold this network was not checked"})
    if refused := unplaceable(graph, Rules(load_constants())):
        raise LoweringError(
            "no core of the chip can hold this network:\n  "
            + "\n  ".join(map(str, refused))
            + "\n  To lower it anyway, for simulation: chip=None, or --no-chip."
        )
    return graph


def _assemble(traced: Trace, keep: Sequence[str], example_input: torch.Tensor, input_range: tuple[int, int]) -> Graph:
    calls = traced.calls
    shape = tuple(int(n) for n in example_input.shape[1:-1][::-1])
    source = Input(INPUT, shape, input_range)
    sources: dict[str, Call | None] = {INPUT: None}
    populations: list[Population] = []
    synapses: list[Synapse] = []
    for call in calls:
        if isinstance(call.block, SYNAPTIC):
            population, entering = lower_block(call, [sources[name] for name in call.sources], source)
            populations.append(population)
            synapses += entering
            sources[call.name] = call
        else:
            sources[call.name] = sources[call.sources[0]]
    made = [call for call in calls if isinstance(call.block, SYNAPTIC)]
    for first, second in itertools.combinations(made, 2):
        if population_name(first) == population_name(second):
            raise LoweringError(
                f"blocks {first.name!r} and {second.name!r} would both be {population_name(first)!r} in the graph; "
                "rename one"
            )
    outputs = _outputs(traced, keep, sources)
    for call in outputs:
        if call.block.delay is not None:
            raise LoweringError(
                f"block {call.name!r}: delay=True on an output layer: delays act on the next layer's synapses, "
                "and what leaves the network here meets none; leave out the delay, or do not return it"
            )
    senders, events = biases([call for call in made if sends_changes(call.block)], populations)
    names = [name for name in traced.outputs.values() if not name.isdigit()]
    info = {"outputs": ", ".join(names)} if names else {}
    if (unit := unit_of(outputs[0])) != 1:
        info["unit"] = repr(unit)
    populations, synapses = [*senders, *populations], [*synapses, *events]
    return Graph(source, tuple(populations), tuple(synapses), tuple(map(population_name, outputs)), info=info)


def _outputs(traced: Trace, keep: Sequence[str], sources: Mapping[str, Call | None]) -> list[Call]:
    """The blocks whose spikes leave: those that the model returns, in its order, then those to be kept."""
    called = [call.name for call in traced.calls]
    if unknown := [name for name in keep if name not in called]:
        raise LoweringError(
            f"keep names {unknown[0]!r}, which is no block that the model calls; there are: {', '.join(called)}"
        )
    found = [sources[name] for name in (*traced.outputs, *keep)]
    outputs = [call for call in dict.fromkeys(found) if call is not None]
    layers = [call for call in traced.calls if isinstance(call.block, SYNAPTIC)]
    read = {sources[source] for call in layers for source in call.sources}.union(outputs)
    unread = [call.name for call in layers if call not in read]
    if unread:
        warnings.warn(
            f"the model calls {', '.join(map(repr, unread))} and does not return what it gives: left out of the "
            f"graph; lower(..., keep={tuple(unread)}) keeps it as an output",
            PumiceWarning,
            stacklevel=5,
        )
    return outputs


def _prove(graph: Graph, calls: list[Call], example_input: torch.Tensor) -> None:
    """Stream the example's first samples through a backend and compare every layer's spikes at every step."""
    n = 1 if remembers(graph) else 2
    samples = torch_to_lava(example_input[:n].numpy(force=True)).astype(np.int32)
    stream = to_stream(graph, samples)
    backend = "reference" if len(stream) * graph_cost(graph).synapses <= REFERENCE_PRODUCTS else "fast"
    records = get_backend(backend).run(graph, stream, record=True).records
    steps = latencies(graph)
    silent, read = [], {source for call in calls for source in call.sources}
    for call in calls:
        if not isinstance(call.block, SYNAPTIC):
            continue
        name = population_name(call)
        if name not in records:  # nothing that leaves depends on it
            continue
        expected = undelayed(call)[: len(samples)]
        if not expected.any() and call.name in read:
            silent.append(call.name)
        got = from_stream(graph, records[name].s, len(samples), latency=steps[name])
        if len(places := np.argwhere(got != expected)):
            sample, step, *neuron = (int(i) for i in places[0])
            raise InternalError(
                f"the lowered graph differs from the deployed network first at block {call.name!r}, sample {sample}, "
                f"step {step}, neuron {tuple(neuron)}; spikes of it that differ: {len(places)}"
            )
    if silent:
        more = f" and {len(silent) - 1} more blocks" if silent[1:] else ""
        warnings.warn(
            f"nothing fires in {silent[0]!r}{more} on the example's first samples, so the proof says "
            "little about what follows; give an example that makes them fire, or look at their thresholds",
            PumiceWarning,
            stacklevel=4,
        )
