"""Convolutions fed by few spikes: sums over them only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from pumice.nn import kernels
from pumice.nn.kernels.threads import parallel_for
from pumice.nn.synapses.sparse_product import Compressed, has_loops, node_for_each_gradient

MOST = 1 / 6
"""Share of inputs that spike above which a dense convolution may be as fast, whatever its sizes."""

PER_INPUT, PER_ROW, PER_SUM, PER_PRODUCT = 1.1, 4.5, 0.03, 0.0205
"""Nanoseconds of a core (Zen 4, with AVX2 and AVX-512): to look at an input; of a spike for each row of outputs that
it reaches, and for each sum in it; of a dense convolution for each product."""

DENSE_CHANNELS = 16
"""Fewer channels out than these take a dense convolution as long."""

EVERY = 17
"""So many images apart are those of which the spikes are counted before those of all are listed."""

LEAST_PRODUCTS = 50_000_000
"""Of a dense convolution; below it there is little to gain, and the loops would have to be compiled first."""

GROUP = 16
"""Images whose sums for a weight's gradient are added up in float32."""

HELD = 4
"""Groups for each thread whose sums are held at a time: with many channels they are larger than the images."""


@dataclass(frozen=True)
class Geometry:
    """Sizes of a convolution without dilation and groups.

    Attributes:
        image: Height, width and channels of the input.
        kernel: Height and width, like the next two.
        stride: Of the kernel.
        padding: Zeros.
        out_channels: Channels of the output.
    """

    image: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    out_channels: int

    @property
    def out(self) -> tuple[int, int]:
        """Height and width of the output."""
        sizes = zip(self.image, self.kernel, self.stride, self.padding, strict=False)
        height, width = ((n + 2 * p - k) // s + 1 for n, k, s, p in sizes)
        return height, width

    @property
    def taps(self) -> int:
        """Outputs of a row that one input reaches, at most."""
        return -(-self.kernel[1] // self.stride[1])

    @property
    def most_spikes(self) -> float:
        """The share of inputs that spike from which on a dense convolution is as fast; may be 0 or less."""
        rows, columns = (size / step for size, step in zip(self.kernel, self.stride, strict=True))
        dense = PER_PRODUCT * columns * max(self.out_channels, DENSE_CHANNELS)
        of_row = PER_ROW + PER_SUM * columns * self.out_channels
        return min(MOST, (dense - PER_INPUT / rows) / of_row)

    @property
    def table_shape(self) -> tuple[int, ...]:
        """Of what `table` gives."""
        return self.stride[1], self.kernel[0], self.image[2], self.taps, self.out_channels

    def table(self, weight: torch.Tensor) -> torch.Tensor:
        """Weights (out, in, height, width) as `kernels.event_convolution` takes them, 0 where there is no tap."""
        whole = F.pad(weight, (0, self.taps * self.stride[1] - self.kernel[1])).unflatten(3, (self.taps, -1))
        return whole.flip(3).permute(4, 2, 1, 3, 0).contiguous()

    def weight(self, table: torch.Tensor) -> torch.Tensor:
        """The inverse of `table`."""
        whole = table.permute(4, 2, 1, 3, 0).flip(3).flatten(3)
        return whole[..., : self.kernel[1]].contiguous()


@cache
def _places(geometry: Geometry) -> tuple[Any, Any]:
    """`reached` and `rows` of `kernels.event_convolution`."""
    (height, width, channels), (n_rows, n_columns) = geometry.image, geometry.out
    taps, wide = geometry.taps, geometry.out_channels
    of_row = channels * taps * wide  # weights of a kernel's row, in one phase
    last, phase = np.divmod(np.arange(width) + geometry.padding[1], geometry.stride[1])
    of_phase = -((phase - geometry.kernel[1]) // geometry.stride[1])  # taps; more would be zeros
    fewest, most = np.maximum(0, last - n_columns + 1), np.minimum(of_phase - 1, last)
    weights = phase * geometry.kernel[0] * of_row + (taps - 1 - most) * wide
    per_column = (last - most) * wide, weights, np.maximum(0, most - fewest + 1) * wide
    reached = np.repeat(np.stack(per_column), channels, axis=1)
    reached[1] += np.tile(np.arange(channels) * taps * wide, width)
    last, phase = np.divmod(np.arange(height)[:, None] + geometry.padding[0], geometry.stride[0])
    tap = np.arange(-(-geometry.kernel[0] // geometry.stride[0]))
    row, y = phase + geometry.stride[0] * tap, last - tap
    is_there = (row < geometry.kernel[0]) & (y >= 0) & (y < n_rows)
    rows = np.stack([np.where(is_there, y * n_columns * wide, -1), np.where(is_there, row * of_row, 0)], axis=1)
    return reached.astype(np.uintp), rows


@dataclass(frozen=True, eq=False)
class ImageEvents:
    """The spikes of images, and the convolution that takes them.

    Attributes:
        spikes: A sample is an image, its rows are the image's, of (width, channel).
        geometry: Of the convolution.
    """

    spikes: Compressed
    geometry: Geometry

    @classmethod
    def find(cls, images: torch.Tensor, geometry: Geometry) -> ImageEvents | None:
        """The spikes in images (n, channel, height, width) with channels last in memory; None if they are many.

        Example:
            >>> images = torch.zeros(1, 3, 8, 8).contiguous(memory_format=torch.channels_last)
            >>> images[0, 1, 2, 5] = 2
            >>> found = ImageEvents.find(images, Geometry((8, 8, 3), (3, 3), (1, 1), (0, 0), 4))
            >>> found.spikes.columns[0, 0].item(), found.spikes.values[0, 0].item()
            (16, 2.0)
        """
        (height, width, channels), rows = geometry.image, images.detach().movedim(1, -1)
        most, some = geometry.most_spikes, rows[::EVERY].numpy()
        if np.count_nonzero(some.view(np.int32)) > most * some.size:  # much faster than of floats
            return None
        size, row, flat = height * width * channels, width * channels, rows.reshape(-1)
        found = Compressed.find(flat, (len(images), height, row), (size, row), int(2 * most * size))
        if found is None or found.pointers[:, -1].sum() > most * flat.numel():
            return None
        return cls(found, geometry)


class EventConv(torch.autograd.Function):
    """The convolution of images (n, channel, height, width), of which few are not zero, as (n, height', width', out).

    Images lie in memory with channels last.

    The order of the sums is that of a dense convolution by rows, columns and channels of the kernel; where weights
    are multiples of 2/64 and spikes whole numbers, no order matters (see `sparse_product.EventLinear`).
    """

    @staticmethod
    def forward(
        ctx: Any,
        images: torch.Tensor,
        weight: torch.Tensor,
        given: tuple[ImageEvents, torch.Tensor, torch.Tensor],
        known: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """As the class says; `given` is the spikes, then images and weight with their graphs, `known` the result."""
        found, *attached = given
        ctx.geometry = geometry = found.geometry
        # A gradient that is differentiated depends on images and weight. All is torch's to keep, or not to
        # (checkpoints).
        ctx.save_for_backward(*attached, *(found.spikes.tensors() if ctx.needs_input_grad[1] else ()))
        if known is not None:
            return known.view_as(known)
        out = weight.new_empty(len(images), *geometry.out, len(weight))
        table = geometry.table(weight.detach()).view(-1).numpy()
        arrays = *found.spikes.arrays(), *_places(geometry), table, out.flatten(1).numpy()
        parallel_for(kernels.event_convolution.convolve, len(images), *arrays)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the arguments: of the images, and of what is to be differentiated again, as torch's."""
        (g,), (images, weight, *spikes), geometry = grads, ctx.saved_tensors, ctx.geometry
        of_images, of_weight, *_ = ctx.needs_input_grad
        over_spikes = of_weight and not torch.is_grad_enabled()
        dense = of_images, of_weight and not over_spikes, False
        g_x = g_weight = None
        if any(dense):
            sizes = None, geometry.stride, geometry.padding, (1, 1), False, (0, 0), 1
            g_x, g_weight, _ = torch.ops.aten.convolution_backward(g.movedim(-1, 1), images, weight, *sizes, dense)
        if over_spikes:
            slopes = g.contiguous().flatten(1)
            g_weight = _correlated(geometry, *(tensor.numpy() for tensor in (*spikes, slopes)))
        return g_x, g_weight, None, None


def _correlated(geometry: Geometry, *arrays: Any) -> torch.Tensor:
    """The gradient of the weights, of a `Compressed`'s arrays and the gradient of the outputs (image, output)."""
    n, most = len(arrays[0]), HELD * torch.get_num_threads()
    sums = np.empty((most, math.prod(geometry.table_shape)), np.float32)
    total = np.zeros(sums.shape[1])
    for first in range(0, n, most * GROUP):
        *spikes, g = (array[first : first + most * GROUP] for array in arrays)
        of_groups = sums[: -(-len(g) // GROUP)]
        of_loop = *spikes, *_places(geometry), g, of_groups
        parallel_for(kernels.event_convolution.correlate, len(of_groups), GROUP, *of_loop)
        for of_group in of_groups:  # in order: the result does not depend on the number of threads
            total += of_group
    return geometry.weight(torch.from_numpy(total.astype(np.float32)).view(geometry.table_shape))


def convolve_events(
    images: torch.Tensor, weight: torch.Tensor, stride: tuple[int, ...], padding: tuple[int, ...]
) -> torch.Tensor | None:
    """The convolution of images by sums over their spikes; None where a dense one is as good, or is needed.

    A weight that is not finite must show, wherever it is, and is multiplied by zeros, too. Sizes that do not fit are
    torch's to refuse.

    Args:
        images: (n, channel, height, width), channels last in memory.
        weight: (out, channel, height, width).
        stride: (height, width), like the next.
        padding: Zeros.

    Example:
        >>> convolve_events(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3), (1, 1), (0, 0)) is None
        True
    """
    if not has_loops(images, weight):
        return None
    _, channels, height, width = images.shape
    sizes = (height, width, channels), tuple(weight.shape[2:]), tuple(stride), tuple(padding), len(weight)
    geometry = Geometry(*sizes)  # type: ignore[arg-type]
    if channels != weight.shape[1] or min(stride) < 1 or min(padding) < 0 or min(geometry.out) < 1:
        return None
    products = len(images) * math.prod(geometry.out) * weight.numel()
    found = ImageEvents.find(images, geometry) if products >= LEAST_PRODUCTS else None
    if found is None or not math.isfinite(weight.detach().sum().item()):
        return None
    return node_for_each_gradient(EventConv, images, weight, (found, images, weight)).movedim(-1, 1)
