"""Residual blocks of spiking networks: currents are summed, spikes take the shortcut."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from pumice.errors import InputError
from pumice.nn.blocks.merge import Merge
from pumice.nn.checks import check_sizes
from pumice.nn.neurons.gradient import Gradient
from pumice.nn.synapses.base import AbstractSynapse
from pumice.nn.synapses.conv import ConvSynapse
from pumice.nn.synapses.identity import IdentitySynapse

ONE_OF_TWO = 2**-0.5
"""alpha of a norm whose synapse is summed with another one: together they have the variance of one."""


class _Residual(torch.nn.Module):
    """Convolutions one after the other, and a shortcut around them all.

    Attributes:
        kernels: Sizes of the convolutions.
        strided: Which of them has the stride.
        expansion: How many times more channels the last one has.
    """

    kernels: tuple[int, ...]
    strided: int
    expansion: int

    def __init__(
        self,
        neuron_params: dict[str, Any],
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        identity_norm: bool = True,
        gradient: str | Gradient | None = None,
    ) -> None:
        super().__init__()
        check_sizes(type(self).__name__, in_channels=in_channels, channels=channels, stride=stride)
        lif, norm, half = split_norm(neuron_params)
        if gradient is not None:
            lif["gradient"] = gradient
        width, out_channels = in_channels, self.expansion * channels
        for index, (name, size) in enumerate(zip(self._before_sum(), self.kernels, strict=False)):
            by = stride if index == self.strided else 1
            self.add_module(
                name, Merge(lif, ConvSynapse(width, channels, size, stride=by, padding=size // 2, norm=norm))
            )
            width = channels
        self.sum = Merge(
            lif,
            ConvSynapse(width, out_channels, self.kernels[-1], padding=self.kernels[-1] // 2, norm=half),
            _shortcut(in_channels, out_channels, stride, half, identity_norm=identity_norm),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Spikes for spikes."""
        y = x
        for name in self._before_sum():
            y = getattr(self, name)(y)
        spikes: torch.Tensor = self.sum(y, x)
        return spikes

    def _before_sum(self) -> tuple[str, ...]:
        return ("first", "second")[: len(self.kernels) - 1]


class ResidualBlock(_Residual):
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
        gradient: "stbp" (through the reset, as in the paper), "stbp-detached", "slayer" (without the reset), or a
            `pumice.nn.Gradient`; that of `neuron_params`, else "stbp", if not given.

    Shape:
        (batch, in_channels, height, width, time) -> (batch, channels, height / stride, width / stride, time), rounded
        up.

    Raises:
        InputError: A size is below 1, `neuron_params` lacks a number, its norm cannot be made for each synapse, there
            is no such gradient, or the input has other channels or axes.

    Example:
        >>> from pumice.nn import TDBN
        >>> params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": TDBN}
        >>> ResidualBlock(params, 4, 8, stride=2)(torch.ones(1, 4, 6, 6, 5)).shape
        torch.Size([1, 8, 3, 3, 5])
    """

    kernels = (3, 3)
    strided = 0
    expansion = 1


class Bottleneck(_Residual):
    r"""Three convolutions, 1x1, 3x3 and 1x1, and a shortcut; otherwise as `ResidualBlock`.

    .. math:: y = \mathrm{LIF}\big(\mathrm{norm}_{1/\sqrt2}(W_3 * h_2) + \mathrm{norm}_{1/\sqrt2}(W_s * x)\big),
        \qquad h_i = \mathrm{LIF}(\mathrm{norm}_1(W_i * h_{i-1})), \quad h_0 = x

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
        (batch, in_channels, height, width, time) -> (batch, 4 channels, height / stride, width / stride, time),
        rounded up.

    Raises:
        InputError: As `ResidualBlock`.

    Example:
        >>> from pumice.nn import TDBN
        >>> params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": TDBN}
        >>> Bottleneck(params, 4, 2, stride=2)(torch.ones(1, 4, 6, 6, 5)).shape
        torch.Size([1, 8, 3, 3, 5])
    """

    kernels = (1, 3, 1)
    strided = 1
    expansion = 4


def split_norm(neuron_params: dict[str, Any]) -> tuple[dict[str, Any], Any, Any]:
    """The neuron's parameters without the norm, the norm for a lone synapse, and the norm for one of two synapses.

    Raises:
        InputError: The norm is none, or one already made: each synapse needs one of its own.

    Example:
        >>> from pumice.nn import TDBN
        >>> lif, norm, half = split_norm({"threshold": 0.5, "norm": TDBN})
        >>> lif, norm(2).alpha, round(half(2).alpha, 4)
        ({'surrogate': 'rectangular', 'gradient': 'stbp', 'threshold': 0.5}, 1.0, 0.7071)
    """
    lif = {"surrogate": "rectangular", "gradient": "stbp", **neuron_params}
    norm = lif.pop("norm", None)
    if norm is not None and (not callable(norm) or isinstance(norm, torch.nn.Module)):
        raise InputError(
            f"neuron_params['norm'] must be nn.TDBN, a partial of it, or None, got {norm!r}; each synapse "
            "makes its own"
        )
    return lif, norm, None if norm is None else partial(norm, alpha=ONE_OF_TWO)


def _shortcut(in_channels: int, channels: int, stride: int, norm: Any, *, identity_norm: bool) -> AbstractSynapse:
    if stride == 1 and in_channels == channels:
        return IdentitySynapse(channels, norm if identity_norm else None)
    return ConvSynapse(in_channels, channels, 1, stride=stride, norm=norm)
