"""A bias that passes through a current's memory, as spikes of neurons that fire in every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from pumice.nn.blocks.merge import Merge
from pumice.nn.synapses.base import AbstractSynapse
from pumice.nn.synapses.conv import ConvSynapse
from pumice.nn.synapses.dense import DenseSynapse
from pumice.nn.synapses.one_to_one import OneToOneSynapse


def without_bias_(synapses: Sequence[AbstractSynapse]) -> torch.Tensor | None:
    """Take biases and norms out of synapses, in place; gains of norms go into the weights.

    Returns:
        What they add in every step, per channel; None if nothing.

    Example:
        >>> synapse = DenseSynapse(2, 3, bias=True)
        >>> without_bias_([synapse]).tolist(), synapse.bias
        ([0.0, 0.0, 0.0], None)
    """
    offsets = []
    with torch.no_grad():
        for synapse in synapses:
            if synapse.norm is None and synapse.bias is None:
                continue
            offsets.append(synapse.offset().clone())
            if synapse.norm is not None:
                gain = synapse.gain()
                synapse.weight.data = synapse.weight * gain.reshape(-1, *[1] * (synapse.weight.ndim - 1))
                synapse.norm = None
            synapse.bias = None
    return torch.stack(offsets).sum(0) if offsets else None


def clock_of(
    synapse: AbstractSynapse, added: torch.Tensor, *, image: bool, late: bool = False
) -> tuple[Merge, AbstractSynapse]:
    """Neurons that always fire, at the places of a synapse's targets, and the synapse from them that is a bias.

    On the chip a bias acts on the voltage. One that must pass through the current's memory first is the spikes of
    such neurons, which are there from a sample's first step on, as the bias is.

    Args:
        synapse: The one in front of the neurons that have the bias; its weights are not looked at.
        added: The bias, per channel.
        image: Whether the neurons are an image.
        late: Whether the bias is there from a sample's second step on.

    Example:
        >>> clock, bias = clock_of(DenseSynapse(4, 3), torch.tensor([1.0, 2.0, 3.0]), image=False)
        >>> bias(clock(torch.zeros(1, 4, 2))).tolist()
        [[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]]
        >>> clock, _ = clock_of(DenseSynapse(4, 3), torch.ones(3), image=False, late=True)
        >>> clock(torch.zeros(1, 4, 5)).tolist()
        [[[0.0, 1.0, 1.0, 1.0, 1.0]]]
    """
    always, bias = _shaped_like(synapse, len(added), image)
    always.add_bias_()
    assert always.bias is not None
    with torch.no_grad():
        always.weight.zero_()
        always.bias.fill_(0.75 if late else 1.0)
        bias.weight.data = added.reshape(bias.weight.shape).clone()
    params = {"dynamics": "float", "threshold": 0.5, "current_decay": 1.0, "voltage_decay": 1.0}
    # Late ones keep their voltage, need two steps for the first spike, and each spike brings the next.
    start = {"threshold": 1.0, "voltage_decay": 0.0} if late else {}
    clock = Merge({**params, **start}, always, recurrent=OneToOneSynapse(1) if late else None)
    for parameter in clock.synapses.parameters():
        parameter.requires_grad_(False)
    if clock.recurrent is not None:
        clock.recurrent.requires_grad_(False)
    return clock, bias


def _shaped_like(synapse: AbstractSynapse, out: int, image: bool) -> tuple[AbstractSynapse, AbstractSynapse]:
    channels = int(synapse.in_channels or 1)
    if isinstance(synapse, ConvSynapse):
        height, width = synapse.weight.shape[2:4]
        geometry: dict[str, Any] = {name: getattr(synapse, name) for name in ("stride", "padding", "dilation")}
        return ConvSynapse(channels, 1, (height, width), **geometry), ConvSynapse(1, out, 1)
    if image:  # one to one
        return ConvSynapse(channels, 1, 1), ConvSynapse(1, out, 1)
    return DenseSynapse(channels, 1), DenseSynapse(1, out)
