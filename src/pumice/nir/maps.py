"""Linear maps in float64 between neurons, composed before rounding. Shapes are NIR's: (C, H, W) or (n,)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
Shape: TypeAlias = tuple[int, ...]
MAX_MATRIX = 16_000_000
"""Entries of a matrix that stands for a composition which is neither one kernel nor one product."""


class TooLargeError(ValueError):
    """A composed map would need a matrix of more than MAX_MATRIX entries."""


def image_shape(shape: Shape) -> Shape:
    """(C, L) as an image of one row."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


@dataclass(frozen=True, eq=False)
class Diagonal:
    """Each value times its own weight, which broadcasts against the shape."""

    weight: FloatArray

    def apply(self, x: FloatArray, target: Shape) -> FloatArray:
        """(N, *source) -> (N, *target)."""
        return (x * self.weight).reshape(len(x), *target)


@dataclass(frozen=True, eq=False)
class Matrix:
    """A matrix (n_target, n_source); images are flattened in C order."""

    weight: FloatArray

    def apply(self, x: FloatArray, target: Shape) -> FloatArray:
        """(N, *source) -> (N, *target)."""
        product: FloatArray = x.reshape(len(x), -1) @ self.weight.T
        return product.reshape(len(x), *target)


@dataclass(frozen=True, eq=False)
class Kernel:
    """A correlation with weight (O, I / groups, kh, kw); stride, padding and dilation are (y, x)."""

    weight: FloatArray
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    def target_shape(self, source: Shape) -> Shape:
        """(C, H, W) of the result; sizes may be < 1 where the kernel does not fit."""
        source = image_shape(source)
        size = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(
                source[1:], self.padding, self.dilation, self.weight.shape[2:], self.stride, strict=True
            )
        ]
        return (len(self.weight), *size)

    def taps(self, source: Shape) -> tuple[npt.NDArray[np.int64], ...]:
        """For each weight at each place inside the image: target, source (both in C order), index of the weight."""
        source = image_shape(source)
        n_out, per_group, kh, kw = self.weight.shape
        _, height, width = self.target_shape(source)
        o, oy, ox, c, i, j = np.ogrid[:n_out, :height, :width, :per_group, :kh, :kw]
        y = oy * self.stride[0] - self.padding[0] + i * self.dilation[0]
        x = ox * self.stride[1] - self.padding[1] + j * self.dilation[1]
        channel = o // (n_out // self.groups) * per_group + c
        inside = (y >= 0) & (y < source[1]) & (x >= 0) & (x < source[2])
        full = np.broadcast_shapes(o.shape, oy.shape, ox.shape, c.shape, i.shape, j.shape)
        keep = np.broadcast_to(inside, full)
        targets = (o * height + oy) * width + ox
        sources = (channel * source[1] + y) * source[2] + x
        weights = ((o * per_group + c) * kh + i) * kw + j
        return tuple(np.broadcast_to(a, full)[keep] for a in (targets, sources, weights))

    def apply(self, x: FloatArray, target: Shape) -> FloatArray:
        """(N, C, H, W) -> (N, O, H', W')."""
        (py, px), (sy, sx), (dy, dx) = self.padding, self.stride, self.dilation
        padded = np.pad(x.reshape(len(x), *image_shape(x.shape[1:])), ((0, 0), (0, 0), (py, py), (px, px)))
        _, height, width = image_shape(target)
        split = len(self.weight) // self.groups
        per_group = self.weight.shape[1]
        out = np.zeros((len(x), *image_shape(target)))
        for group in range(self.groups):
            rows = slice(group * split, (group + 1) * split)
            image = padded[:, group * per_group : (group + 1) * per_group]
            for i in range(self.weight.shape[2]):
                for j in range(self.weight.shape[3]):
                    y, z = i * dy, j * dx
                    seen = image[:, :, y : y + sy * (height - 1) + 1 : sy, z : z + sx * (width - 1) + 1 : sx]
                    out[:, rows] += np.einsum("oc,nchw->nohw", self.weight[rows, :, i, j], seen, optimize=True)
        return out.reshape(len(x), *target)


LinearMap: TypeAlias = Diagonal | Matrix | Kernel


def identity() -> Diagonal:
    """What an edge without a node does."""
    return Diagonal(np.ones(()))


def is_identity(linear: LinearMap) -> bool:
    """Whether it changes nothing."""
    return isinstance(linear, Diagonal) and bool(np.all(linear.weight == 1))


def as_matrix(linear: LinearMap, source: Shape, target: Shape) -> FloatArray:
    """The map as (n_target, n_source).

    Raises:
        TooLargeError: It would be too large.
    """
    if isinstance(linear, Matrix):
        return linear.weight
    n_target, n_source = int(np.prod(target)), int(np.prod(source))
    if n_target * n_source > MAX_MATRIX:
        raise TooLargeError(f"a matrix of {n_target} x {n_source}")
    if isinstance(linear, Diagonal):
        return np.diag(np.broadcast_to(linear.weight, source).reshape(-1))
    matrix = np.zeros((n_target, n_source))
    targets, sources, weights = linear.taps(source)
    matrix[targets, sources] = linear.weight.reshape(-1)[weights]
    return matrix


def compose(first: LinearMap, second: LinearMap, shapes: tuple[Shape, Shape, Shape]) -> LinearMap:
    """`second` after `first`: a kernel where one does it, else a matrix.

    Args:
        first: From shapes[0] to shapes[1].
        second: From shapes[1] to shapes[2].
        shapes: Of the source, between, and of the target.

    Raises:
        TooLargeError: It needs a matrix that would be too large.
    """
    source, between, target = shapes
    if is_identity(first) and (source == between or not isinstance(second, Diagonal)):
        return second
    if is_identity(second) and (between == target or isinstance(first, Matrix)):
        return first
    if isinstance(first, Diagonal) and isinstance(second, Diagonal) and source == between == target:
        return Diagonal(first.weight * second.weight)
    if isinstance(second, Diagonal) and isinstance(first, Kernel) and between == target:
        scale = np.broadcast_to(second.weight, target).reshape(image_shape(target))
        if np.all(scale == scale[:, :1, :1]):
            return replace(first, weight=first.weight * scale[:, :1, :1, None])
    if isinstance(first, Kernel) and isinstance(second, Kernel) and _folds(first, second, source):
        return _folded(first, second)
    return Matrix(as_matrix(second, between, target) @ as_matrix(first, source, between))


def _folds(pool: Kernel, conv: Kernel, source: Shape) -> bool:
    """Whether `pool` has windows that tile the image, so that the next kernel's padding is whole windows."""
    size, source = pool.weight.shape[2:], image_shape(source)
    return (
        pool.weight.shape[1] == 1
        and pool.groups == len(pool.weight) == source[0]
        and pool.stride == size
        and pool.padding == (0, 0)
        and pool.dilation == (1, 1)
        and not (source[1] % size[0] or source[2] % size[1])
        and bool(np.all(pool.weight == pool.weight[:1]))
        and conv.dilation == (1, 1)
    )


def _folded(pool: Kernel, conv: Kernel) -> Kernel:
    kh, kw = pool.weight.shape[2:]
    return Kernel(
        np.kron(conv.weight, pool.weight[:1]),
        (conv.stride[0] * kh, conv.stride[1] * kw),
        (conv.padding[0] * kh, conv.padding[1] * kw),
        (1, 1),
        conv.groups,
    )
