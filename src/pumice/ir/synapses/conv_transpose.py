"""A transposed convolution."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pumice.fixedpoint import conv_transpose_accumulate, conv_transpose_output_shape
from pumice.ir.synapses.base import WEIGHT_LIMITS, Entries, Int32Array, IntArray, Shape, Synapse, delayed_by, halves
from pumice.ir.synapses.kernels import geometry_problems, size_problems, tap_entries


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvTranspose(Synapse):
    """A transposed convolution: each source neuron adds its kernel to the target image.

    The sum is `fixedpoint.conv_transpose_accumulate`. Lava has no process for it: there, and on the chip, it is
    single weights, whose sums have 32 bits.

    Attributes:
        weight: Integers, shape (out, kernel_x, kernel_y, in / groups).
        stride: (x, y): steps in the target from one source neuron to the next.
        padding: (x, y): so many targets are cut off on both sides.
        output_padding: (x, y): so many are added at the far side, less than the stride or the dilation.
        dilation: (x, y).
        groups: Blocks of channels that are connected with each other only.
        weight_exp: Left shift of the sum, 0 to 7.
        delay_steps: 0 to 62: one number, or one per source channel (in,).
    """

    limits: ClassVar = WEIGHT_LIMITS

    weight: IntArray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    output_padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    weight_exp: int = 0
    delay_steps: int | IntArray = 0

    @property
    def weights(self) -> IntArray:
        """The kernel."""
        return np.asarray(self.weight)

    def problems(self, source: Shape, target: Shape) -> Iterator[str]:
        """The kernel must lead from one image to the other."""
        what = "transposed convolution"
        pairs = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
        found = [*geometry_problems(what, self, source, target, pairs)]
        yield from found
        if not found:
            if any(n >= max(s, d) for n, s, d in zip(self.output_padding, self.stride, self.dilation, strict=True)):
                yield f"output_padding must be less than the stride or the dilation, got {self.output_padding}"
            size = conv_transpose_output_shape(
                source, self.weight.shape, self.stride, self.padding, self.output_padding, self.dilation
            )
            yield from size_problems(what, size, self, source, target)

    def entries(self, source: Shape, target: Shape) -> Entries:
        """Each tap of each source neuron that lies within the target."""
        _, kernel_x, kernel_y, _ = self.weight.shape
        _, x, y, i, j, _ = np.ogrid[:1, : source[0], : source[1], :kernel_x, :kernel_y, :1]
        to_x = x * self.stride[0] - self.padding[0] + i * self.dilation[0]
        to_y = y * self.stride[1] - self.padding[1] + j * self.dilation[1]
        return tap_entries(self, (source, target), (x, y), (to_x, to_y))

    def accumulate(self, sent: Int32Array, delay: int, target: Shape) -> Int32Array:
        """Every source neuron's kernel, times what it sent, at its place."""
        return conv_transpose_accumulate(
            self.weight,
            delayed_by(self.delay_steps, delay, sent),
            shape=target,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            weight_exp=self.weight_exp,
        )

    def sums(self, source: Shape, target: Shape) -> tuple[IntArray, IntArray]:
        """Of the taps that meet at each place of the stride's grid; at the border they are bounds."""
        positive, negative = (self._at_each_target(half, target) for half in halves(self.weight))
        return positive, negative

    def _at_each_target(self, weight: IntArray, target: Shape) -> IntArray:
        """(out, kernel_x, kernel_y, in / groups) -> (x, y, out): a tap acts where the grid's phase is its own."""
        meets = [
            (np.arange(n)[:, None] + self.padding[axis] - np.arange(weight.shape[1 + axis]) * self.dilation[axis])
            % self.stride[axis]
            == 0
            for axis, n in enumerate(target[:2])
        ]
        total: IntArray = np.einsum("xi,yj,oij->xyo", *(m.astype(np.int64) for m in meets), weight.sum(3))
        return total

    def connections(self, source: Shape, target: Shape) -> int:
        """The whole kernel for each source neuron; what is cut off at the border counts too."""
        return self.weight.size // self.weight.shape[3] * math.prod(source) // self.groups
