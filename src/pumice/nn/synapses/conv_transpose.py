"""A transposed convolution over height and width, and upsampling."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from pumice.errors import InputError
from pumice.nn.checks import check_divides, check_sizes, checked_pair
from pumice.nn.exact import direct_convolution
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.norms.tdbn import TDBN
from pumice.nn.synapses.base import AbstractSynapse, Pair, kernel_weight


class ConvTransposeSynapse(AbstractSynapse):
    r"""A transposed convolution, without bias; initialised like `ConvSynapse`.

    .. math:: c_k[y s_y - p_y + i d_y,\; x s_x - p_x + j d_x] \mathrel{+}= W_{kcij} \, s_c[y, x]

    followed by the norm: what makes an image larger in a decoder or U-Net. Lowered, it is `ir.ConvTranspose`.
    `torch.nn.ConvTranspose2d` has the same arguments; its weight is (in, out / groups, ...), here it is
    (out, in / groups, height, width, 1), as of a `ConvSynapse`.

    Args:
        in_features: Channels in.
        out_features: Channels out.
        kernel_size: One number or (height, width).
        stride: One number or (height, width): how many times larger the image becomes.
        padding: One number or (height, width), cut off on both sides.
        output_padding: One number or (height, width), added below and at the right.
        dilation: One number or (height, width).
        groups: Blocks of channels that are connected with each other only.
        norm: A `TDBN`, or a function that makes one, or None.

    Shape:
        (batch, in_features, height, width, time) -> (batch, out_features, height', width', time).

    Raises:
        InputError: The arguments do not make a transposed convolution, or the input has other channels or axes.

    Example:
        >>> ConvTransposeSynapse(4, 2, 2, stride=2)(torch.ones(1, 4, 3, 5, 6)).shape
        torch.Size([1, 2, 6, 10, 6])
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
        output_padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        norm: TDBN | Callable[[], TDBN] | None = None,
    ) -> None:
        where = type(self).__name__
        check_sizes(where, in_features=in_features, out_features=out_features, groups=groups)
        check_divides(where, "groups", groups, in_features, out_features)
        super().__init__(out_features, norm, in_channels=in_features)
        self.kernel_size = checked_pair(where, "kernel_size", kernel_size)
        self.stride = checked_pair(where, "stride", stride)
        self.padding = checked_pair(where, "padding", padding, at_least=0)
        self.output_padding = checked_pair(where, "output_padding", output_padding, at_least=0)
        self.dilation = checked_pair(where, "dilation", dilation)
        self.groups = groups
        axes = zip(self.output_padding, self.stride, self.dilation, strict=True)
        if any(n >= max(s, d) for n, s, d in axes):
            raise InputError(
                f"{where}: output_padding must be less than the stride or the dilation, got {self.output_padding}"
            )
        self._make_weight(in_features // groups)

    def _make_weight(self, in_per_group: int) -> None:
        self.weight = kernel_weight(self.out_channels, in_per_group, *self.kernel_size, 1)

    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A transposed convolution over height and width, the same in every step."""
        x = time_major(x)
        if min(x.shape[2:4]) < 1:
            raise InputError(f"{type(self).__name__}: an image needs at least one pixel, got {tuple(x.shape[2:4])}")
        if min(self._size(axis, n) for axis, n in enumerate(x.shape[2:4])) < 1:
            raise InputError(f"{type(self).__name__}: padding {self.padding} cuts off the whole image")
        images = x.flatten(0, 1).movedim(-1, 1).contiguous()
        # (out, in / groups, ...) -> torch's (in, out / groups, ...)
        kernel = weight[..., 0].unflatten(0, (self.groups, -1)).transpose(1, 2).flatten(0, 1).contiguous()
        with direct_convolution():
            y = F.conv_transpose2d(
                images, kernel, None, self.stride, self.padding, self.output_padding, self.groups, self.dilation
            )
        return slayer_order(y.movedim(1, -1).unflatten(0, x.shape[:2]))

    def _size(self, axis: int, n: int) -> int:
        """What becomes of n places along an axis."""
        reach = self.dilation[axis] * (self.kernel_size[axis] - 1) + self.output_padding[axis] + 1
        return (n - 1) * self.stride[axis] - 2 * self.padding[axis] + reach

    def rows(self, weight: torch.Tensor) -> torch.Tensor:
        """The weights that can meet in one target neuron, those of one phase of the stride: (out * phases, n)."""
        phases = []
        for y in range(self.stride[0]):
            for x in range(self.stride[1]):
                taps = weight * self._meets(0, y)[:, None, None] * self._meets(1, x)[:, None]
                phases.append(taps.reshape(self.out_channels, -1))
        return torch.cat(phases)

    def _meets(self, axis: int, phase: int) -> torch.Tensor:
        """Which taps along an axis act on the targets of a phase: 1 or 0."""
        at = torch.arange(self.kernel_size[axis], device=self.weight.device) * self.dilation[axis]
        return (at % self.stride[axis] == phase).to(self.weight.dtype)


class UpsampleSynapse(ConvTransposeSynapse):
    """Each neuron to the square of neurons in its place: nearest-neighbour upsampling, with a weight of 1.

    Args:
        channels: Channels.
        factor: One number or (height, width): how many times larger the image becomes.
        norm: A `TDBN`, or a function that makes one, or None.

    Shape:
        (batch, channel, height, width, time) -> (batch, channel, factor * height, factor * width, time).

    Raises:
        InputError: A size is below 1, or the input has other channels or axes.

    Example:
        >>> x = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2, 1)
        >>> UpsampleSynapse(1, (1, 2))(x)[0, 0, 0, :, 0].tolist()
        [0.0, 0.0, 1.0, 1.0]
    """

    def __init__(self, channels: int, factor: Pair, *, norm: TDBN | Callable[[], TDBN] | None = None) -> None:
        super().__init__(channels, channels, factor, stride=factor, groups=channels, norm=norm)

    def _make_weight(self, in_per_group: int) -> None:
        self.register_buffer("weight", torch.ones(self.out_channels, in_per_group, *self.kernel_size, 1))
