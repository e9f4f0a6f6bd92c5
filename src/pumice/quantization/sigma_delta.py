"""Sigma-delta networks in fixed point: how many fraction bits states, weights and messages have."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pumice.errors import LoweringError
from pumice.fixedpoint.formats import CHANGE_EXP, MIXED_WEIGHT, STATE_LIMIT
from pumice.nn.blocks import sigma_delta as sd
from pumice.quantization.fixed_point_weight import FixedPointWeight
from pumice.quantization.plans import LayerPlan, SynapsePlan
from pumice.quantization.slayer_changes import (
    SENT_BITS,
    WEIGHT_BITS,
    become_changes_,
    is_changes_neuron,
    is_slayers,
    neuron_of,
)
from pumice.quantization.synapse_view import SynapseView, call_synapses, synapse_name
from pumice.quantization.trace import INPUT, Call

MARGIN = 4
"""How much larger than the example's a value may become, at least."""
PROOF = 16
"""Up to so many times that, the largest value that any input can make is given room instead."""
MOST_LOST = 6
"""Of the 8 bits of a weight."""
DRIFT_BITS = 15
"""Each message loses a fraction, always downward: in all steps together at most 2^(DRIFT_BITS - 23) of a state."""
ROUNDING = 1.05
"""What rounding weights, and cutting off what is sent, may add to a bound."""
MOST_WEIGHT_BITS = 14
"""Fraction bits of a weight: smaller weights do nothing."""


def sends_changes(block: Any) -> bool:
    """Whether a block is one of sigma-delta neurons.

    Example:
        >>> sends_changes(sd.Dense({}, 3, 2)), sends_changes(torch.nn.Linear(3, 2))
        (True, False)
    """
    return is_changes_neuron(getattr(block, "neuron", None))


def plan_changes(
    names: Mapping[int, str], calls: Sequence[Call], input_range: tuple[int, int]
) -> dict[str, LayerPlan]:
    """Decide for the sigma-delta layers of a network.

    Real numbers are held as whole multiples of powers of two, so that layers need no common scale. Weights have as
    many fraction bits as 8 bits allow. A layer's states have those of its sources' messages and its weights together;
    what it sends has at most 7 fewer, and as few as leave its readers' states room for `MARGIN` times the largest
    value of the example.

    Args:
        names: The model's modules' names, by identity.
        calls: Of all its blocks.
        input_range: Smallest and largest input value.

    Returns:
        For each sigma-delta layer its plan, by name.

    Raises:
        LoweringError: A layer reads spikes, or spiking neurons read its changes; a synapse belongs to two layers; or
            the input leaves no room.
    """
    layers = {call.name: call for call in calls if sends_changes(call.block)}
    if not layers:
        return {}
    sources = _sources(calls)
    _check(calls, layers, sources)
    rooms = _rooms(layers, sources, max(map(abs, input_range)), int(calls[0].xs[0].shape[-1]))
    fits = {name: [_fitting_bits(view) for view in call_synapses(call)] for name, call in layers.items()}
    n_steps = int(calls[0].xs[0].shape[-1])
    least = {name: room + math.ceil(math.log2(n_steps)) - DRIFT_BITS for name, room in rooms.items()}
    wanted = _wanted(layers, sources, rooms, fits, least)
    shifts = {
        sources[call.sources[0]]: _shift(layers, sources[call.sources[0]])
        for call in layers.values()
        if is_slayers(call.block)
    }
    sent: dict[str, int] = {INPUT: 0}
    found: dict[str, LayerPlan] = {}
    for name, call in layers.items():
        entering = [sent[sources[source]] for source in call.sources]
        most, leaves = wanted[name]
        state, weights, out = _old(call) or _bits(call, entering, fits[name], most, shifts.get(name, 0))
        if out is None:
            out = min(state, max(min(leaves, default=state), state - CHANGE_EXP.high))
        sent[name] = out
        found[name] = _layer(call, names, (state, out), weights)
    return found


def _wanted(
    layers: Mapping[str, Call],
    sources: Mapping[str, str],
    rooms: Mapping[str, int],
    fits: Mapping[str, Sequence[int]],
    least: Mapping[str, int],
) -> dict[str, tuple[int, list[int]]]:
    """For each layer the most fraction bits of its states, and those of what it sends that each reader wants.

    A reader's states have room for so many; less those of its weights, they are what its sources should send. And
    that is at most `CHANGE_EXP.high` below a source's own states, which should not be finer then; but with less than
    `least`, what is cut off would add up.
    """
    readers: dict[str, list[str]] = {name: [] for name in (INPUT, *layers)}
    for name, call in layers.items():
        for source in call.sources:
            readers[sources[source]].append(name)
    wanted: dict[str, tuple[int, list[int]]] = {}
    for name in reversed([*layers]):
        leaves = [wanted[reader][0] - max(fits[reader], default=0) for reader in readers[name]]
        leaves = [max(least[name], bits) for bits in leaves]
        wanted[name] = min(rooms[name], min(leaves, default=rooms[name]) + CHANGE_EXP.high), leaves
    return wanted


def _old(call: Call) -> tuple[int, list[int], int | None] | None:
    """The fraction bits of a layer that is quantized already."""
    neuron = neuron_of(call.block)
    if not neuron.is_deployed:
        return None
    hooks: list[Any] = [view.hook() for view in call_synapses(call)]
    if not all(isinstance(hook, FixedPointWeight) for hook in hooks):
        raise LoweringError(
            f"block {call.name!r} is deployed, and one of its synapses is not: it came into the model later; "
            "deploy a copy of the trained network"
        )
    return neuron.state_bits, [hook.fraction_bits for hook in hooks], neuron.sent_bits


def _bits(
    call: Call, entering: Sequence[int], fits: Sequence[int], room: int, shift: int
) -> tuple[int, list[int], int | None]:
    """Fraction bits of the states and of each synapse's weights; those of what is sent are open."""
    if isinstance(call.block, sd.Input):
        bits = call.block.fraction_bits + shift
        return bits, [], bits
    if is_slayers(call.block):
        state = max(entering) + WEIGHT_BITS
        return state, [state - source for source in entering], min(state, SENT_BITS)
    state = min(room, *(source + fit for source, fit in zip(entering, fits, strict=True)))
    if any(fit and state - source < fit - MOST_LOST for source, fit in zip(entering, fits, strict=True)):
        raise LoweringError(
            f"block {call.name!r}: 24 bits hold its values with {state} fraction bits, of which its sources' "
            f"messages take {max(entering)} and leave its weights none; use an input of fewer bits "
            "(nn.sigma_delta.Input's fraction_bits), or smaller weights"
        )
    return state, [state - source for source in entering], None


def _shift(layers: Mapping[str, Call], source: str) -> int:
    """Further fraction bits of what an encoder sends, so that lava-dl's layers behind it have those of SLAYER."""
    if source == INPUT or not isinstance(layers[source].block, sd.Input):
        return 0
    return min(max(0, SENT_BITS - layers[source].block.fraction_bits), CHANGE_EXP.high)


def _sources(calls: Sequence[Call]) -> dict[str, str]:
    """For each name that a block reads, the block with neurons behind it: flattening only gives another shape."""
    found = {INPUT: INPUT}
    for call in calls:
        is_layer = hasattr(call.block, "neuron") or len(call.sources) != 1
        found[call.name] = call.name if is_layer else found[call.sources[0]]
    return found


def _check(calls: Sequence[Call], layers: Mapping[str, Call], sources: Mapping[str, str]) -> None:
    for call in calls:
        read = {sources[source] for source in call.sources} - {INPUT}
        for source in sorted(read):
            if (source in layers) != (call.name in layers) and sources[call.name] == call.name:
                one, other = ("changes", "spikes") if call.name in layers else ("spikes", "changes")
                raise LoweringError(
                    f"block {call.name!r} adds up {one}, and {source!r} sends {other}; use sigma-delta layers "
                    "(nn.sigma_delta) from the input to the output, or none"
                )
    owners = Counter(id(view.owner) for call in layers.values() for view in call_synapses(call))
    for call in layers.values():
        if any(owners[id(view.owner)] > 1 for view in call_synapses(call)):
            raise LoweringError(f"block {call.name!r} shares a synapse with another; give each its own")


def _rooms(
    layers: Mapping[str, Call], sources: Mapping[str, str], largest_input: int, n_steps: int
) -> dict[str, int]:
    """For each layer the most fraction bits with which its states hold what they must."""
    # What reaches a sum within a sample; of the input itself a new value in each step.
    bounds, rooms = {INPUT: float(largest_input) * n_steps}, {}
    for name, call in layers.items():
        block: Any = call.block
        if isinstance(block, sd.Input):
            bounds[name] = wanted = largest_input / 2.0**block.fraction_bits
        else:
            reach = [
                float(view.rows(view.weight().detach().abs()).sum(1).max()) * bounds[sources[source]]
                for view, source in zip(call_synapses(call), call.sources, strict=True)
            ]
            neuron = neuron_of(block)
            bias = 0.0 if neuron.bias is None else float(neuron.bias.detach().abs().max())
            bounds[name] = ROUNDING * (max(reach) if getattr(block, "concat", False) else sum(reach)) + bias
            z = block.synapse(*call.xs) if is_slayers(block) else block.current(*call.xs)
            seen = MARGIN * float(torch.maximum(z.abs().max(), neuron.value(z).abs().max()))
            wanted = bounds[name] if bounds[name] <= PROOF * seen else seen
        rooms[name] = _room(max(wanted, neuron_of(block).threshold))
    return rooms


def _room(largest: float) -> int:
    """The most fraction bits with which 24 bits hold a value."""
    return math.ceil(math.log2(STATE_LIMIT / largest)) - 1 if largest else STATE_LIMIT.bit_length() - 2


def _fitting_bits(view: SynapseView) -> int:
    """The most fraction bits with which 8 bits hold all weights of a synapse."""
    largest = float(view.weight().detach().abs().max())
    return min(MOST_WEIGHT_BITS, math.floor(math.log2(MIXED_WEIGHT.high / largest))) if largest else 0


def _layer(call: Call, names: Mapping[int, str], bits: tuple[int, int], weight_bits: Sequence[int]) -> LayerPlan:
    views = call_synapses(call)
    scaled = [
        2 * np.rint((view.weight().detach().double() * 2.0 ** (k - 1)).numpy(force=True).reshape(-1))
        for view, k in zip(views, weight_bits, strict=True)
    ]
    integers = np.concatenate([np.zeros(1), *(weight.clip(*MIXED_WEIGHT) for weight in scaled)])
    neuron = neuron_of(call.block)
    bias = [0.0] if neuron.bias is None else (neuron.bias.detach().double() * 2.0 ** bits[0]).flatten().tolist()
    return LayerPlan(
        call.name,
        2.0 ** bits[0],
        rescaled=True,
        was_quantized=neuron.is_deployed,
        synapses=tuple(
            SynapsePlan(synapse_name(names, call, view), 1, fraction_bits=k)
            for view, k in zip(views, weight_bits, strict=True)
        ),
        fraction_bits=bits,
        weights=(int(integers.min()), int(integers.max())),
        clipped=sum(int((weight != weight.clip(*MIXED_WEIGHT)).sum()) for weight in scaled),
        n_weights=sum(weight.size for weight in scaled),
        bias=(round(min(0.0, *bias)), round(max(0.0, *bias))),
    )


def switch_(block: Any, layer: LayerPlan, views: Mapping[str, SynapseView]) -> None:
    """Let a block compute in fixed point from here on, with gradient.

    Args:
        block: One of sigma-delta neurons.
        layer: Its plan.
        views: Its synapses, by their modules' names.
    """
    assert layer.fraction_bits is not None
    for synapse in layer.synapses:
        assert synapse.fraction_bits is not None
        views[synapse.module].set_hook(FixedPointWeight(synapse.fraction_bits, layer.fraction_bits[0], layer.name))
    if is_slayers(block):
        become_changes_(block)
    block.neuron.deploy(*layer.fraction_bits)
