"""lava-dl's own sigma-delta blocks: what they compute in terms of `SigmaDeltaNeuron`, and how they become it."""

from __future__ import annotations

from typing import Any

import torch
from lava.lib.dl.slayer.block import sigma_delta as slayer
from lava.lib.dl.slayer.neuron import sigma_delta as slayer_neuron
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm

from pumice.errors import LoweringError
from pumice.nn.blocks.layers import make_synapses_fast_
from pumice.nn.neurons.folding import offset_of
from pumice.nn.neurons.sigma_delta import RELU, SigmaDeltaNeuron
from pumice.nn.remade import become_

SENT_BITS = 12
"""Fraction bits of what SLAYER's neurons send: a scale of 2^6, twice."""
WEIGHT_BITS = 6
SLAYERS = (slayer.Dense, slayer.Conv, slayer.ConvT, slayer.Pool, slayer.Unpool, slayer.Output)


def is_slayers(block: Any) -> bool:
    """Whether a block is one of lava-dl's, which keeps the grid that it was trained on."""
    return isinstance(block, SLAYERS)


def neuron_of(block: Any) -> SigmaDeltaNeuron:
    """A block's neuron, or, for one of lava-dl's, one that computes alike.

    Example:
        >>> block = slayer.Dense({"threshold": 0.5, "activation": torch.nn.functional.relu}, 3, 2)
        >>> neuron_of(block)
        SigmaDeltaNeuron(threshold=0.5, activation=relu)
    """
    neuron = block.neuron
    if isinstance(neuron, SigmaDeltaNeuron):
        return neuron
    sends_changes = not isinstance(block, slayer.Output)
    activation = neuron.activation if sends_changes else None
    # SLAYER raises the threshold to one unit of what is sent.
    threshold = float(neuron.delta.threshold.detach().clamp(min=1 / neuron.delta.scale))
    found = SigmaDeltaNeuron(threshold, activation, sends_changes=sends_changes)
    bias = _bias(neuron) if sends_changes else None
    found.bias = None if bias is None else torch.nn.Parameter(bias, requires_grad=neuron.bias.requires_grad)
    return found


def _bias(neuron: Any) -> torch.Tensor | None:
    """What is added to the sum, per channel or per neuron."""
    offset = None if neuron.norm is None else offset_of(neuron).detach().clone()
    if not neuron.bias_is_set:
        return offset
    bias = neuron.bias.detach().clone()
    return bias if offset is None else bias + offset.reshape(-1, *[1] * (bias.ndim - 1))


def check_slayers(where: str, block: Any) -> None:
    """Refuse what one of lava-dl's blocks has that sigma-delta neurons of a chip lack.

    Args:
        where: The block, for messages.
        block: One of `SLAYERS`.

    Raises:
        LoweringError: The message names the remedy.
    """
    neuron = block.neuron
    if isinstance(neuron, SigmaDeltaNeuron):
        return
    for found, what in (
        (neuron.persistent_state, "persistent_state=True; give a stream as one long sample instead"),
        (neuron.delta.cum_error, "cum_error=True, with which SLAYER fails on the CPU; leave it out"),
        (block.delay is not None, "delay=True: delayed changes outlive a sample; leave the delay out"),
        (neuron.delta.threshold.numel() > 1, "a threshold for each neuron; chips have one for all"),
        (neuron.w_scale != 1 << WEIGHT_BITS, f"scale={neuron.w_scale}; only 64, lava-dl's default, is exact"),
        (not isinstance(neuron.norm, (MeanOnlyBatchNorm, type(None))), "a norm that scales; use MeanOnlyBatchNorm"),
        (not isinstance(block, slayer.Output) and neuron.activation not in RELU, "an activation that is not ReLU"),
    ):
        if found:
            raise LoweringError(f"{where}: it has {what}")


def become_changes_(block: Any) -> None:
    """Give one of lava-dl's blocks, in place, the neuron that computes alike; its synapse has integers already."""
    if not isinstance(block.neuron, SigmaDeltaNeuron):
        alike = neuron_of(block)
        neuron: Any = become_(block.neuron, SigmaDeltaNeuron)
        for name in ("threshold", "relu", "sums", "sends_changes", "_bits"):
            vars(neuron)[name] = getattr(alike, name)
        neuron._parameters["bias"] = alike.bias
        neuron.norm = None
    make_synapses_fast_(block, in_place=True)
    block.delay_shift = False


def is_changes_neuron(neuron: Any) -> bool:
    """Whether neurons are sigma-delta neurons, ours or lava-dl's."""
    return isinstance(neuron, (SigmaDeltaNeuron, slayer_neuron.Neuron))
