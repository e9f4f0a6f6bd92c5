"""One block of a deployed network: its population and the synapses into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lava.lib.dl.slayer.block import cuba as slayer

from pumice.errors import LoweringError
from pumice.ir import (
    Accumulator,
    Cuba,
    Dense,
    Input,
    Population,
    Synapse,
    torch_to_lava,
)
from pumice.lowering.sigma_delta import lower_changes, unit_of_changes
from pumice.lowering.synapses import ends_of, population_name, shape_of, synapses_into, with_delay
from pumice.nn.blocks.linear_readout import LinearReadout
from pumice.quantization.sigma_delta import sends_changes
from pumice.quantization.trace import Call

IntArray = npt.NDArray[np.integer[Any]]


def lower_block(call: Call, sources: Sequence[Call | None], network_input: Input) -> tuple[Population, list[Synapse]]:
    """Read the integers of a deployed block.

    Args:
        call: The block's call in the trace.
        sources: For each input, the call of the block whose spikes it is, or None for the network's input.
        network_input: The graph's input.

    Returns:
        The population, and its synapses.
    """
    block = call.block
    if isinstance(block, LinearReadout):
        return _readout(call, block, sources, network_input)
    if sends_changes(block):
        return lower_changes(call, sources, network_input)
    neuron = block.neuron
    recurs = isinstance(block, slayer.Recurrent) or getattr(block, "recurrent", None) is not None
    if neuron.persistent_state and not recurs:
        raise LoweringError(
            f"block {call.name!r}: persistent_state=True, and a graph's populations are reset before every sample; "
            "set block.neuron.persistent_state = False, and give a stream as one long sample"
        )
    name = population_name(call)
    bias = _bias(call)
    population = Cuba(
        name,
        shape_of(call),
        vth_mant=neuron.vth_mant,
        i_decay_q12=channel_last(neuron.cx_current_decay),
        v_decay_q12=channel_last(neuron.cx_voltage_decay),
        bias_mant=bias if bias.any() else 0,
    )
    return population, synapses_into(call, sources, network_input, population)


def _readout(
    call: Call, block: LinearReadout, sources: Sequence[Call | None], network_input: Input
) -> tuple[Population, list[Synapse]]:
    """One dense synapse for each term of the current."""
    name = population_name(call)
    with torch.no_grad():
        bias: IntArray = block.integer_bias(call.terms).numpy(force=True).astype(np.int32)
        weights = [block.integers(term).numpy(force=True).astype(np.int32) for term in call.terms]
    population = Accumulator(
        name,
        bias.shape,
        i_decay_q12=block.current_decay_q12,
        v_decay_q12=block.voltage_decay_q12,
        bias_mant=bias if bias.any() else 0,
    )
    synapses = [
        with_delay(Dense(**ends_of(source, name, network_input), weight=weight), source)
        for source, weight in zip(sources, weights, strict=True)
    ]
    return population, synapses


def _bias(call: Call) -> IntArray:
    with torch.no_grad():
        bias: IntArray = call.block.neuron.integer_bias().numpy(force=True).astype(np.int32)
    return bias


def unit_of(call: Call) -> float:
    """What one of the integers that a deployed block sends is worth: 1 of spikes."""
    if isinstance(call.block, LinearReadout):
        return call.block.unit
    return unit_of_changes(call) if sends_changes(call.block) else 1.0


def undelayed(call: Call) -> IntArray:
    """The spikes that the block's neurons fired, before the block delayed them: (batch, time, *shape).

    Of a readout, the voltage in the chip's integers; of sigma-delta neurons, the changes or values.
    """
    sent: IntArray = torch_to_lava((call.undelayed / unit_of(call)).numpy(force=True)).astype(np.int32)
    return sent.reshape(*sent.shape[:2], *sent.shape[2:] if isinstance(call.block, LinearReadout) else shape_of(call))


def channel_last(decay_q12: Any) -> int | IntArray:
    """One number, or one per channel."""
    values = np.atleast_1d(np.asarray(decay_q12)).astype(np.int32)
    return int(values[0]) if np.all(values == values[0]) else values
