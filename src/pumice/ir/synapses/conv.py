"""A convolution."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pumice.fixedpoint import conv_accumulate, conv_output_shape
from pumice.fixedpoint.formats import DELAY_STEPS
from pumice.ir.limits import SIGNED_16, Limit
from pumice.ir.synapses.base import (
    Entries,
    Int32Array,
    IntArray,
    Shape,
    Synapse,
    channel_delay_problems,
    delayed_by,
    halves,
    non_zero,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv(Synapse):
    """A convolution; the sum is `fixedpoint.conv_accumulate`.

    Attributes:
        weight: Integers, shape (out, kernel_x, kernel_y, in / groups), a correlation kernel like PyTorch's.
        stride: (x, y).
        padding: (x, y), zeros on both sides.
        dilation: (x, y).
        groups: Blocks of channels that are connected with each other only.
        delay_steps: 0 to 62: one number, or one per source channel (in,).
    """

    limits: ClassVar = {"weight": Limit(*SIGNED_16), "delay_steps": Limit(*DELAY_STEPS)}

    weight: IntArray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    delay_steps: int | IntArray = 0

    @property
    def weights(self) -> IntArray:
        """The kernel."""
        return np.asarray(self.weight)

    def problems(self, source: Shape, target: Shape) -> Iterator[str]:
        """The kernel must lead from one image to the other."""
        if len(source) != 3 or len(target) != 3:
            yield f"a convolution joins shapes (x, y, channel), got {source} and {target}"
            return
        if self.weight.ndim != 4:
            yield (
                f"weight must have 4 dimensions (out, kernel_x, kernel_y, in / groups), got shape {self.weight.shape}"
            )
            return
        for label, pair, low in (
            ("stride", self.stride, 1),
            ("padding", self.padding, 0),
            ("dilation", self.dilation, 1),
        ):
            if len(pair) != 2 or any(n < low for n in pair):
                yield f"{label} must be two integers (x, y) >= {low}, got {pair}"
                return
        if self.groups < 1 or source[2] % self.groups or self.weight.shape[0] % self.groups:
            yield f"groups = {self.groups} must divide the channels in ({source[2]}) and out ({self.weight.shape[0]})"
            return
        if self.weight.shape[3] * self.groups != source[2]:
            yield (
                f"weight has {self.weight.shape[3]} channels in each of {self.groups} groups, "
                f"the source has {source[2]}"
            )
        found = conv_output_shape(source, self.weight.shape, self.stride, self.padding, self.dilation)
        if found != target:
            yield f"the convolution gives shape {found}, its target has {target}"
        yield from channel_delay_problems(source, self.delay_steps)

    def entries(self, source: Shape, target: Shape) -> Entries:
        """Each tap of each target that lies within the image: many, so other facts are stated without them."""
        n_out, kernel_x, kernel_y, per_group = self.weight.shape
        out, to_x, to_y, i, j, c = np.ogrid[:n_out, : target[0], : target[1], :kernel_x, :kernel_y, :per_group]
        x = to_x * self.stride[0] - self.padding[0] + i * self.dilation[0]
        y = to_y * self.stride[1] - self.padding[1] + j * self.dilation[1]
        channel = out // (n_out // self.groups) * per_group + c
        inside = (x >= 0) & (x < source[0]) & (y >= 0) & (y < source[1])
        delays = np.broadcast_to(np.asarray(self.delay_steps), source[-1:])
        return non_zero(
            (to_x * target[1] + to_y) * target[2] + out,
            (x * source[1] + y) * source[2] + channel,
            np.where(inside, self.weight[:, None, None], 0),
            delays[channel],
        )

    def accumulate(self, sent: Int32Array, delay: int, target: Shape) -> Int32Array:
        """The convolution of what was sent, wrapped to 24 bits."""
        return conv_accumulate(
            self.weight,
            delayed_by(self.delay_steps, delay, sent),
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def sums(self, source: Shape, target: Shape) -> tuple[IntArray, IntArray]:
        """Of each output channel's kernel; at the border they are bounds."""
        positive, negative = (half.sum((1, 2, 3)) for half in halves(self.weight))
        return np.broadcast_to(positive, target), np.broadcast_to(negative, target)

    def connections(self, source: Shape, target: Shape) -> int:
        """The whole kernel for each target; the border's missing pixels count too."""
        return self.weight.size * math.prod(target[:-1])
