"""An answer read from membranes instead of spikes."""

from __future__ import annotations

from pumice import nn


class MembraneReadout(nn.LeakyReadout):
    r"""Output neurons that never fire: how their membrane grows is the answer.

    .. math:: v(t) = v(t - 1) + y(t), \qquad y(t) = W \, \underset{n}{\mathrm{mean}} \, s_n(t) + b

    There is neither leak nor reset, so the membrane at the end of a sample is the sum of y over time. Deployed, y is
    the voltage of a population of `ir.Accumulator`, into which one dense synapse leads; who reads it adds it up.
    Deng, Wu, Du, Gu (Spiking Token Mixer, NeurIPS 2024) take the sum of a linear answer over time, too.

    Args:
        channels: Channels, or neurons, of the spikes.
        n_classes: Numbers of the answer.

    Shape:
        (batch, channel, ..., time) -> (batch, n_classes, time), y.

    Raises:
        InputError: A size is below 1, or the spikes have another number of channels.

    Example:
        >>> import torch
        >>> MembraneReadout(3, 10)(torch.ones(1, 3, 4, 4, 5)).shape
        torch.Size([1, 10, 5])
    """

    def __init__(self, channels: int, n_classes: int) -> None:
        super().__init__(channels, n_classes, voltage_decay=1.0)
