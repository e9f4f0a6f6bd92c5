"""Products of whole frames by BLAS, for sources that are not sparse; exact, because every sum fits the mantissa."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.formats import EXACT_FLOAT32, EXACT_FLOAT64, WORD_LIMIT
from pumice.ir import Conv

Array = npt.NDArray[Any]

DENSE_ABOVE = 0.22
"""Share of sources that send (or, of spikes, of the rarer kind) above which a product beats a walk over events.

Measured by `benchmarks/density.py`: 0.2 to 0.25 for dense synapses and convolutions alike.
"""
MIN_FRAMES = 64
"""Fewer frames share a dense matrix too little to pay for its way through memory."""

PATCH_BYTES = 1 << 21
"""So much of a convolution's patches is laid out at a time."""


def exact_float(largest_sum: int) -> type[np.floating[Any]] | None:
    """The narrowest float in which sums of integer products come out exact, whatever their order; None if none is.

    A float with m bits of mantissa holds every integer up to 2^m. If the sum of the products' sizes is at most
    2^m, then so is every partial sum, and so none is ever rounded.

    Example:
        >>> exact_float(2**24), exact_float(2**24 + 1), exact_float(2**60)
        (<class 'numpy.float32'>, <class 'numpy.float64'>, None)
    """
    if largest_sum <= EXACT_FLOAT32:
        return np.float32
    return np.float64 if largest_sum <= EXACT_FLOAT64 else None


def _share(arriving: Array) -> float:
    """How much there is to walk over: of spikes, at most half, as silence can be subtracted instead."""
    share = np.count_nonzero(arriving) / arriving.size
    return min(share, 1 - share) if arriving.itemsize == 1 else share


@dataclass(frozen=True)
class Matrix:
    """A dense synapse's weight (n_source, n_target) as floats."""

    weight: Array

    @classmethod
    def of(cls, weight: Array, largest_sum: int) -> Matrix | None:
        """None if the product would not be exact."""
        kind = exact_float(largest_sum)
        # From 2^31 on the activation wraps, which floats do not.
        return None if kind is None or largest_sum >= WORD_LIMIT else cls(weight.astype(kind))

    def pays_off(self, arriving: Array) -> bool:
        """Whether these frames are dense enough."""
        return len(arriving) >= MIN_FRAMES and _share(arriving) > DENSE_ABOVE

    def product(self, arriving: Array) -> Array:
        """(n_frames, n_source) -> (n_frames, n_target), int32."""
        return (arriving.astype(self.weight.dtype) @ self.weight).astype(np.int32)


@dataclass(frozen=True)
class ConvMatrix:
    """A convolution as the product of each place's patch with the kernel."""

    weight: Array
    synapse: Conv
    source_shape: tuple[int, ...]

    @classmethod
    def of(cls, synapse: Conv, source_shape: tuple[int, ...], largest_sum: int) -> ConvMatrix | None:
        """None if the product would not be exact, or if the channels fall into groups (small products do not pay)."""
        kind = exact_float(largest_sum)
        if kind is None or synapse.groups > 1:
            return None
        kernel = synapse.weight.reshape(len(synapse.weight), -1).T
        return cls(np.ascontiguousarray(kernel, kind), synapse, source_shape)

    def pays_off(self, arriving: Array) -> bool:
        """Whether these frames are dense enough."""
        return _share(arriving) > DENSE_ABOVE

    def product(self, arriving: Array) -> Array:
        """(n_frames, n_source) -> (n_frames, x, y, channel), int32."""
        patches = self._patches(arriving[:1])
        n_bytes = patches.size * self.weight.itemsize
        block = max(1, PATCH_BYTES // n_bytes)
        found = np.empty((len(arriving), *patches.shape[1:3], self.weight.shape[1]), np.int32)
        for first in range(0, len(arriving), block):
            patches = self._patches(arriving[first : first + block])
            flat = patches.reshape(-1, len(self.weight))
            found[first : first + block] = (flat @ self.weight).reshape(len(patches), *found.shape[1:])
        return found

    def _patches(self, frames: Array) -> Array:
        """What the kernel covers at each place: shape (n_frames, x, y, kernel_x, kernel_y, channel)."""
        s = self.synapse
        (px, py), (dx, dy), (kx, ky) = s.padding, s.dilation, s.weight.shape[1:3]
        images = frames.reshape(-1, *self.source_shape).astype(self.weight.dtype)
        images = np.pad(images, ((0, 0), (px, px), (py, py), (0, 0)))
        window = (dx * (kx - 1) + 1, dy * (ky - 1) + 1)
        patches = np.lib.stride_tricks.sliding_window_view(images, window, axis=(1, 2))  # type: ignore[call-overload]
        return patches[:, :: s.stride[0], :: s.stride[1], :, ::dx, ::dy].transpose(0, 1, 2, 4, 5, 3)
