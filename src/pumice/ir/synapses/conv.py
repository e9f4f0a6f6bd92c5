"""A convolution."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint import conv_accumulate, conv_output_shape
from pumice.fixedpoint.formats import DELAY_STEPS
from pumice.ir.blocks import Blocks, Stored, Traffic
from pumice.ir.limits import SIGNED_16, Limit
from pumice.ir.synapses.base import Entries, Int32Array, IntArray, Shape, Synapse, delayed_by, halves
from pumice.ir.synapses.kernels import geometry_problems, size_problems, tap_entries


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

    delays_each_weight: ClassVar[bool] = False
    shares_weights: ClassVar[bool] = True
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
        what = "convolution"
        found = [*geometry_problems(what, self, source, target, {"stride": 1, "padding": 0, "dilation": 1})]
        yield from found
        if not found:
            size = conv_output_shape(source, self.weight.shape, self.stride, self.padding, self.dilation)  # type: ignore[arg-type]
            yield from size_problems(what, size, self, source, target)

    def entries(self, source: Shape, target: Shape) -> Entries:
        """Each tap of each target that lies within the image: many, so other facts are stated without them."""
        _, kernel_x, kernel_y, _ = self.weight.shape
        _, to_x, to_y, i, j, _ = np.ogrid[:1, : target[0], : target[1], :kernel_x, :kernel_y, :1]
        x = to_x * self.stride[0] - self.padding[0] + i * self.dilation[0]
        y = to_y * self.stride[1] - self.padding[1] + j * self.dilation[1]
        return tap_entries(self, (source, target), (x, y), (to_x, to_y))

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

    def largest_sum(self, source: Shape, target: Shape) -> int:
        """Of each output channel's kernel: it is the same at every place, so the image is not built."""
        return int(np.abs(np.asarray(self.weight, np.int64)).sum((1, 2, 3)).max(initial=0))

    def connections(self, source: Shape, target: Shape) -> int:
        """The whole kernel for each target; the border's missing pixels count too."""
        return self.weight.size * math.prod(target[:-1])

    def fan_out(self, source: Shape, target: Shape) -> IntArray:
        """Of the kernel, the taps that lead from a place into the image."""
        weight = np.asarray(self.weight)
        by_group = weight.reshape(self.groups, len(weight) // self.groups, *weight.shape[1:])
        counts = np.count_nonzero(by_group, axis=1).transpose(0, 3, 1, 2).reshape(-1, *weight.shape[1:3])
        hits = [self._hits(axis, source[axis], target[axis]) for axis in (0, 1)]
        found: IntArray = np.einsum("xi,yj,cij->xyc", *hits, counts, optimize=True)
        return found.reshape(-1)

    def _hits(self, axis: int, n_source: int, n_target: int) -> IntArray:
        """Whether a kernel's index leads from a place along an axis to a target, (n_source, kernel), 0 or 1."""
        index = np.arange(self.weight.shape[1 + axis])
        at = np.arange(n_source)[:, None] + self.padding[axis] - index * self.dilation[axis]
        to, off = np.divmod(at, self.stride[axis])
        return ((off == 0) & (to >= 0) & (to < n_target)).astype(np.int64)

    def stored(self, source: Shape, blocks: Blocks) -> Stored:
        """The kernel, once beside each block: a row for each of its positions and source channels."""
        onto = self._channels_onto(blocks)
        in_x, in_y = (np.minimum(np.bincount(axis, minlength=1), 1) for axis in blocks.axes[:2])
        rows = np.stack([blocks.over([in_x, in_y, channels]) for channels in onto])
        times = np.full(self.groups, math.prod(self.weight.shape[1:]))
        return Stored(rows, times, np.zeros(blocks.n, np.int64))

    def traffic(self, sent: npt.NDArray[np.bool_], blocks: Blocks) -> Traffic:
        """A spike meets, at each place of the block that its kernel reaches, the block's channels of its group."""
        spikes = sent.astype(np.float64)
        per_channel = np.repeat(self._channels_onto(blocks), self.weight.shape[3], axis=0)
        factors = [*(self._places_onto(axis, sent.shape[1 + axis], blocks) for axis in (0, 1)), per_channel]
        return Traffic(_spread(spikes, factors), _spread(spikes, [np.minimum(factor, 1) for factor in factors]))

    def _channels_onto(self, blocks: Blocks) -> IntArray:
        """Channels of each group of targets in each block of channels, shape (groups, blocks)."""
        group = np.arange(self.weight.shape[0]) // (self.weight.shape[0] // self.groups)
        n = blocks.counts[2]
        return np.bincount(group * n + blocks.axes[2], minlength=self.groups * n).reshape(self.groups, n)

    def _places_onto(self, axis: int, n_source: int, blocks: Blocks) -> IntArray:
        """Columns (or rows) of each block that a column of the source reaches, shape (n_source, blocks)."""
        of, n = blocks.axes[axis], blocks.counts[axis]
        taps = np.arange(self.weight.shape[1 + axis]) * self.dilation[axis]
        start = np.arange(len(of))[:, None] * self.stride[axis] - self.padding[axis] + taps
        inside = (start >= 0) & (start < n_source)
        place = (start * n + of[:, None])[inside]
        return np.bincount(place, minlength=n_source * n).reshape(n_source, n)


def _spread(spikes: npt.NDArray[np.float64], factors: list[IntArray]) -> npt.NDArray[np.float64]:
    """(T, x, y, channel) times, for each axis, a matrix onto blocks -> (T, blocks)."""
    x, y, channel = (factor.astype(np.float64) for factor in factors)
    total: npt.NDArray[np.float64] = np.einsum("txyd,xa,yb->tabd", spikes @ channel, x, y, optimize=True)
    return total.reshape(len(spikes), -1)
