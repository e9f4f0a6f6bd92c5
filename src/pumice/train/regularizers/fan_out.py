"""How many synapses each neuron's spike reaches: what a spike costs on the chip."""

from __future__ import annotations

import copy
from typing import Any

import torch

from pumice.nn.blocks.linear_readout import LinearReadout
from pumice.nn.synapses.base import AbstractSynapse
from pumice.quantization.synapse_view import call_synapses
from pumice.quantization.trace import SYNAPTIC, trace


def fan_out(model: torch.nn.Module, example_input: torch.Tensor) -> dict[str, torch.Tensor]:
    """Synapses behind each neuron, counted exactly: strides, borders, groups, pooling, several consumers.

    Counted as the gradient of the consumers' summed currents when every weight is 1. A branch of a residual stream
    reaches every population that reads the stream, as `pumice.lower` wires it with `residual="synapses"`.

    Args:
        model: Of blocks that can be lowered.
        example_input: A batch as in training.

    Returns:
        For each block with neurons (and "input"), its fan-out, in the shape of one sample without time.

    Raises:
        LoweringError: The network cannot be traced.

    Example:
        >>> from pumice import nn
        >>> params = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}
        >>> net = torch.nn.Sequential(nn.Dense(params, 3, 5), nn.Dense(params, 5, 2))
        >>> {name: counts.tolist() for name, counts in fan_out(net, torch.ones(1, 3, 4)).items()}
        {'input': [5.0, 5.0, 5.0], '0': [2.0, 2.0, 2.0, 2.0, 2.0], '1': [0.0, 0.0]}
    """
    found: dict[str, torch.Tensor] = {}
    flattened: dict[str, str] = {}  # a Flatten's spikes are those of the block before it

    def add(source: str, counts: torch.Tensor) -> None:
        while source in flattened:
            source = flattened[source]
        if source in found:
            found[source] = found[source] + counts.reshape(found[source].shape)
        else:
            found[source] = counts

    found["input"] = torch.zeros(example_input.shape[1:-1])
    for call in trace(model, example_input):
        if not isinstance(call.block, SYNAPTIC):
            flattened[call.name] = call.sources[0]
            continue
        found[call.name] = torch.zeros(call.y.shape[1:-1])
        if isinstance(
            call.block, LinearReadout
        ):  # its synapses and its matrix are one synapse, dense, for each source
            for source, x in zip(call.sources, call.xs, strict=True):
                add(source, torch.full(x.shape[1:-1], float(call.y.shape[1])))
            continue
        synapses = call_synapses(call)
        own = [(call.name, call.y)] * (
            len(synapses) - len(call.xs)
        )  # a recurrent synapse sees the block's own spikes
        for synapse, (source, x) in zip(synapses, [*zip(call.sources, call.xs, strict=True), *own], strict=True):
            add(source, _synapses(synapse.owner, x))
    return found


def _synapses(owner: Any, x: torch.Tensor) -> torch.Tensor:
    ones = torch.ones_like(x[:1, ..., :1], requires_grad=True)
    if isinstance(owner, AbstractSynapse):
        current = owner.linear(ones, torch.ones_like(owner.weight))
    else:
        synapse = copy.deepcopy(owner)
        synapse.pre_hook_fx = torch.ones_like  # of whatever weight: torch may compute it anew (weight norm, pruning)
        current = synapse(ones)
    (counts,) = torch.autograd.grad(current.sum(), ones)
    return counts[0, ..., 0].cpu()
