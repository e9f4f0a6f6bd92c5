"""Residual blocks of spiking networks: currents are summed, spikes take the shortcut."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from pumice.nn.arms import AbstractArm, ConvArm, IdentityArm
from pumice.nn.merge import Merge
from pumice.nn.stbp import set_gradient

TWO_ARMS = 2**-0.5
"""alpha of a norm whose arm is summed with another one: together they have the variance of one."""


class ResidualBlock(torch.nn.Module):
    r"""Two convolutions and a shortcut.

    .. math:: y = \mathrm{LIF}\big(\mathrm{norm}_{1/\sqrt2}(W_2 * \mathrm{LIF}(\mathrm{norm}_1(W_1 * x)))
        + \mathrm{norm}_{1/\sqrt2}(W_s * x)\big)

    Currents are summed before the neuron, and x are spikes. The shortcut is the identity, with a norm of its own,
    where shapes agree, else a 1x1 convolution. Deployed, it is a synapse with a delay of one step.

    Zheng, Wu, Deng, Hu, Li: Going Deeper With Directly-Trained Larger Spiking Neural Networks, AAAI 2021.

    Args:
        neuron_params: SLAYER's dictionary, `current_decay` 1; `norm` is `TDBN`, a `partial` of it, or None.
            `surrogate` is "rectangular" if not given, as in the paper.
        in_channels: Channels in.
        channels: Channels out.
        stride: Of the first convolution and of the shortcut.
        identity_norm: Whether an identity shortcut has a norm, as in the paper; without, it adds 0 or 1.
        gradient: "stbp" (through the reset, as in the paper), "stbp-detached", or "slayer" (without the reset).

    Shape:
        (batch, in_channels, height, width, time) -> (batch, channels, height / stride, width / stride, time).

    Example:
        >>> from pumice.nn import TDBN
        >>> params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": TDBN}
        >>> ResidualBlock(params, 4, 8, stride=2)(torch.ones(1, 4, 6, 6, 5)).shape
        torch.Size([1, 8, 3, 3, 5])
    """

    expansion = 1

    def __init__(
        self,
        neuron_params: dict[str, Any],
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        identity_norm: bool = True,
        gradient: str = "stbp",
    ) -> None:
        super().__init__()
        lif, norm, half = split_norm(neuron_params)
        self.first = Merge(lif, ConvArm(in_channels, channels, 3, stride=stride, padding=1, norm=norm))
        self.sum = Merge(
            lif,
            ConvArm(channels, channels, 3, padding=1, norm=half),
            _shortcut(in_channels, channels, stride, half, identity_norm=identity_norm),
        )
        set_gradient(self, gradient)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Spikes for spikes."""
        y: torch.Tensor = self.sum(self.first(x), x)
        return y


class Bottleneck(torch.nn.Module):
    """Three convolutions, 1x1, 3x3 and 1x1, and a shortcut; otherwise as `ResidualBlock`.

    He, Zhang, Ren, Sun, CVPR 2016, in the form of Zheng et al., AAAI 2021. The stride is the 3x3 convolution's.
    Deployed, the shortcut has a delay of two steps.

    Args:
        neuron_params: As in `ResidualBlock`.
        in_channels: Channels in.
        channels: Of the first two convolutions; four times as many leave.
        stride: Of the second convolution and of the shortcut.
        identity_norm: As in `ResidualBlock`.
        gradient: As in `ResidualBlock`.

    Shape:
        (batch, in_channels, height, width, time) -> (batch, 4 channels, height / stride, width / stride, time).

    Example:
        >>> from pumice.nn import TDBN
        >>> params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": TDBN}
        >>> Bottleneck(params, 4, 2, stride=2)(torch.ones(1, 4, 6, 6, 5)).shape
        torch.Size([1, 8, 3, 3, 5])
    """

    expansion = 4

    def __init__(
        self,
        neuron_params: dict[str, Any],
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        identity_norm: bool = True,
        gradient: str = "stbp",
    ) -> None:
        super().__init__()
        lif, norm, half = split_norm(neuron_params)
        out_channels = self.expansion * channels
        self.first = Merge(lif, ConvArm(in_channels, channels, 1, norm=norm))
        self.second = Merge(lif, ConvArm(channels, channels, 3, stride=stride, padding=1, norm=norm))
        self.sum = Merge(
            lif,
            ConvArm(channels, out_channels, 1, norm=half),
            _shortcut(in_channels, out_channels, stride, half, identity_norm=identity_norm),
        )
        set_gradient(self, gradient)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Spikes for spikes."""
        y: torch.Tensor = self.sum(self.second(self.first(x)), x)
        return y


def split_norm(neuron_params: dict[str, Any]) -> tuple[dict[str, Any], Any, Any]:
    """The neuron's parameters without the norm, the norm for a lone arm, and the norm for one of two arms.

    Example:
        >>> from pumice.nn import TDBN
        >>> lif, norm, half = split_norm({"threshold": 0.5, "norm": TDBN})
        >>> lif, norm(2).alpha, round(half(2).alpha, 4)
        ({'surrogate': 'rectangular', 'threshold': 0.5}, 1.0, 0.7071)
    """
    lif = {"surrogate": "rectangular", **neuron_params}
    norm = lif.pop("norm", None)
    return lif, norm, None if norm is None else partial(norm, alpha=TWO_ARMS)


def _shortcut(in_channels: int, channels: int, stride: int, norm: Any, *, identity_norm: bool) -> AbstractArm:
    if stride == 1 and in_channels == channels:
        return IdentityArm(channels, norm if identity_norm else None)
    return ConvArm(in_channels, channels, 1, stride=stride, norm=norm)
