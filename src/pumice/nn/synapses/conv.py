"""A convolution over height and width."""

from __future__ import annotations

from collections.abc import Callable

import torch

from pumice.nn.checks import check_divides, check_sizes, checked_pair
from pumice.nn.norms.tdbn import TDBN
from pumice.nn.synapses.base import AbstractSynapse, Pair, kernel_weight
from pumice.nn.synapses.slayer import convolve_steps


class ConvSynapse(AbstractSynapse):
    r"""A convolution; initialised like STBP-tdBN's (Kaiming normal, fan out).

    .. math:: c_k(t) = \mathrm{norm}_k\Big(\sum_j W_{kj} * s_j(t)\Big) + b_k

    The convolution, followed by tdBN, of Zheng et al., AAAI 2021; the same in every step.

    Args:
        in_features: Channels in.
        out_features: Channels out.
        kernel_size: One number or (height, width).
        stride: One number or (height, width).
        padding: One number or (height, width), zeros.
        dilation: One number or (height, width).
        groups: Blocks of channels that are connected with each other only.
        norm: A `TDBN`, or a function that makes one, or None.
        bias: Whether there is a b, 0 at first; a norm has one already.

    Shape:
        (batch, in_features, height, width, time) -> (batch, out_features, height', width', time).

    Raises:
        InputError: The arguments do not make a convolution, or the input has other channels or axes.

    Example:
        >>> ConvSynapse(1, 4, 3, stride=2, padding=1)(torch.ones(1, 1, 8, 6, 5)).shape
        torch.Size([1, 4, 4, 3, 5])
    """

    takes_images = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: Pair,
        *,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        norm: TDBN | Callable[[], TDBN] | None = None,
        bias: bool = False,
    ) -> None:
        check_sizes("ConvSynapse", in_features=in_features, out_features=out_features, groups=groups)
        check_divides("ConvSynapse", "groups", groups, in_features, out_features)
        super().__init__(out_features, norm, in_channels=in_features)
        kernel = checked_pair("ConvSynapse", "kernel_size", kernel_size)
        self.stride = checked_pair("ConvSynapse", "stride", stride)
        self.padding = checked_pair("ConvSynapse", "padding", padding, at_least=0)
        self.dilation = checked_pair("ConvSynapse", "dilation", dilation)
        self.groups = groups
        self.weight = kernel_weight(out_features, in_features // groups, *kernel, 1)
        if bias:
            self.add_bias_()

    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A convolution over height and width, the same in every step."""
        over_image = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        sums = convolve_steps(x, weight[..., 0], **over_image, groups=self.groups)
        return self.held(sums)
