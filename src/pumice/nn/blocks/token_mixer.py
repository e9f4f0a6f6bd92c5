"""The token mixer of a Spiking Token Mixer: spatial mixing by learned matrices instead of self-attention."""

from __future__ import annotations

import torch

from pumice.nn.blocks.activation import NeuronLayer
from pumice.nn.blocks.current import Current
from pumice.nn.synapses.base import NormFactory
from pumice.nn.synapses.conv import ConvSynapse
from pumice.nn.synapses.token_mixing import TokenMixingSynapse


class TokenMixerBlock(torch.nn.Module):
    r"""A residual block that mixes tokens.

    .. math:: I \leftarrow I + \mathrm{BN}(W_2 \, \sigma(M \, \sigma(\mathrm{BN}(W_1 \, \sigma(I)))))

    W are 1x1 convolutions, M one matrix over the tokens per head (`TokenMixingSynapse`), and sigma the neurons: every
    product is one of a fixed matrix with spikes. Deng, Wu, Du, Gu: Spiking Token Mixer, NeurIPS 2024.

    Args:
        channels: D.
        tokens: height * width.
        heads: Number of matrices, divides D.
        neurons: Makes a layer of neurons.
        norm: Makes a synapse's norm, or None.

    Shape:
        `Current` of (batch, D, height, width, time) -> the same.

    Raises:
        InputError: A size is below 1, the heads do not divide the channels, or the image has other tokens.

    Example:
        >>> from pumice.nn import Neurons, TDBN
        >>> lif = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5}
        >>> norm = lambda: TDBN(threshold=1.0)
        >>> block = TokenMixerBlock(8, tokens=6, heads=2, neurons=lambda: Neurons(lif), norm=norm)
        >>> block(Current.holding(torch.ones(1, 8, 2, 3, 4))).value.shape
        torch.Size([1, 8, 2, 3, 4])
    """

    def __init__(
        self, channels: int, *, tokens: int, heads: int, neurons: NeuronLayer, norm: NormFactory | None
    ) -> None:
        super().__init__()
        self.fire = torch.nn.ModuleList(neurons() for _ in range(3))
        self.first = ConvSynapse(channels, channels, 1, norm=norm)
        self.mix = TokenMixingSynapse(channels, tokens=tokens, heads=heads)
        self.last = ConvSynapse(channels, channels, 1, norm=norm)

    def forward(self, current: Current) -> Current:
        """The stream with this block's current added."""
        branch = current
        for fire, synapse in zip(self.fire, (self.first, self.mix, self.last), strict=True):
            branch = Current.of(synapse, fire(branch))
        return current + branch
