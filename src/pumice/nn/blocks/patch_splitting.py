"""From an image to a current of tokens, with an analogue path beside the spiking one."""

from __future__ import annotations

from typing import Any

import torch

from pumice.errors import InputError
from pumice.nn.blocks.activation import NeuronLayer
from pumice.nn.blocks.current import Current
from pumice.nn.checks import check_input, check_sizes
from pumice.nn.synapses.base import NormFactory
from pumice.nn.synapses.conv import ConvSynapse

N_CONVS = 5


class SpikingPatchSplitting(torch.nn.Module):
    r"""Information-protected spiking patch splitting (IPSPS).

    .. math:: I = [\, \mathrm{BN}(W_0 * x),\; \mathrm{BN}(W_5 * s_4) \,], \qquad
              s_i = \mathrm{LIF}(\mathrm{BN}(W_i * s_{i-1})), \quad s_0 = x

    The long path has five 3x3 convolutions, the last `downsampling` of them with stride 2 instead of pooling; the
    short one is a single convolution with a kernel of 2^downsampling and that stride, which brings D/8 channels of
    the analogue image past all thresholds.

    Deng, Wu, Du, Gu: Spiking Token Mixer, NeurIPS 2024.

    Args:
        in_channels: Of the image.
        channels: D, a multiple of 8.
        downsampling: The image's sides are divided by 2^downsampling, 1 to 5.
        neurons: Makes a layer of neurons.
        norm: Makes a synapse's norm, or None.
        short_path: Whether there is a short path; without it the long one gives all D channels.

    Shape:
        (batch, in_channels, height, width, time) -> `Current` of (batch, D, height / 2^d, width / 2^d, time).

    Raises:
        InputError: D is no multiple of 8, the downsampling is out of range, or does not divide the image, or the
            input is no image of `in_channels` channels.

    Example:
        >>> from pumice.nn import Neurons, TDBN
        >>> lif = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5}
        >>> split = SpikingPatchSplitting(3, 16, 2, lambda: Neurons(lif), lambda: TDBN(threshold=1.0))
        >>> split(torch.ones(1, 3, 8, 8, 2)).value.shape
        torch.Size([1, 16, 2, 2, 2])
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        downsampling: int,
        neurons: NeuronLayer,
        norm: NormFactory | None,
        *,
        short_path: bool = True,
    ) -> None:
        super().__init__()
        check_sizes("SpikingPatchSplitting", in_channels=in_channels, channels=channels, downsampling=downsampling)
        if channels % 8 or not 1 <= downsampling <= N_CONVS:
            raise InputError(
                f"SpikingPatchSplitting: channels must be a multiple of 8 and downsampling 1 to {N_CONVS}, "
                f"got {channels} and {downsampling}"
            )
        self.in_channels = in_channels
        self.patch = 2**downsampling
        short = channels // 8 if short_path else 0
        widths = [in_channels, channels // 8, channels // 4, channels // 2, channels, channels - short]
        strides = [1] * (N_CONVS - downsampling) + [2] * downsampling
        self.convs = torch.nn.ModuleList(
            ConvSynapse(n_in, n_out, 3, stride=stride, padding=1, norm=norm)
            for n_in, n_out, stride in zip(widths[:-1], widths[1:], strides, strict=True)
        )
        self.fire = torch.nn.ModuleList(neurons() for _ in range(N_CONVS - 1))
        self.short = ConvSynapse(in_channels, short, self.patch, stride=self.patch, norm=norm) if short_path else None

    def forward(self, x: torch.Tensor) -> Current:
        """The current of the tokens."""
        check_input("SpikingPatchSplitting", x, self.in_channels, image=True)
        if any(side % self.patch for side in x.shape[2:4]):
            raise InputError(
                f"SpikingPatchSplitting: patches of {self.patch} x {self.patch} do not divide an image of "
                f"{x.shape[2]} x {x.shape[3]}; use another downsampling, or pad the image"
            )
        convs: Any = self.convs
        *hidden, last = convs
        h = x
        for conv, fire in zip(hidden, self.fire, strict=True):
            h = fire(Current.of(conv, h))
        main = Current.of(last, h)
        return main if self.short is None else Current.of(self.short, x).beside(main)
