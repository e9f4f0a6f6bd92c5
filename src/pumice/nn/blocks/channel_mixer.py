"""The channel mixer of a Spiking Token Mixer: a perceptron over the channels of each token."""

from __future__ import annotations

import torch

from pumice.nn.blocks.activation import NeuronLayer
from pumice.nn.blocks.current import Current
from pumice.nn.checks import check_sizes
from pumice.nn.synapses.base import NormFactory
from pumice.nn.synapses.conv import ConvSynapse


class ChannelMixerBlock(torch.nn.Module):
    r"""A residual block that mixes channels.

    .. math:: I \leftarrow I + \mathrm{BN}(W_2 \, \sigma(\mathrm{BN}(W_1 \, \sigma(I))))

    with 1x1 convolutions from D to r D channels and back. Deng, Wu, Du, Gu: Spiking Token Mixer, NeurIPS 2024.

    Args:
        channels: D.
        neurons: Makes a layer of neurons.
        norm: Makes a synapse's norm, or None.
        expansion: r.

    Shape:
        `Current` of (batch, D, height, width, time) -> the same.

    Raises:
        InputError: A size is below 1, or the current has another number of channels.

    Example:
        >>> from pumice.nn import Neurons, TDBN
        >>> lif = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5}
        >>> block = ChannelMixerBlock(8, neurons=lambda: Neurons(lif), norm=lambda: TDBN(threshold=1.0))
        >>> block(Current.holding(torch.ones(1, 8, 2, 3, 4))).value.shape
        torch.Size([1, 8, 2, 3, 4])
    """

    def __init__(self, channels: int, *, neurons: NeuronLayer, norm: NormFactory | None, expansion: int = 4) -> None:
        super().__init__()
        check_sizes("ChannelMixerBlock", channels=channels, expansion=expansion)
        self.fire = torch.nn.ModuleList(neurons() for _ in range(2))
        self.first = ConvSynapse(channels, expansion * channels, 1, norm=norm)
        self.last = ConvSynapse(expansion * channels, channels, 1, norm=norm)

    def forward(self, current: Current) -> Current:
        """The stream with this block's current added."""
        branch = current
        for fire, synapse in zip(self.fire, (self.first, self.last), strict=True):
            branch = Current.of(synapse, fire(branch))
        return current + branch
