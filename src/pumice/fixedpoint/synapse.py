"""What a synapse adds to its target's current: integer matrix products and convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.bits import to_int32, wrap24_accumulator

IntArray = npt.NDArray[np.integer[Any]]
Int32Array = npt.NDArray[np.int32]


def dense_accumulate(weight: IntArray, spikes: IntArray, weight_exp: int = 0) -> Int32Array:
    """(W s) * 2^weight_exp, modulo 2^32.

    Args:
        weight: Integers, shape (n_target, n_source).
        spikes: Source values (0/1, or graded integers), shape (n_source,).
        weight_exp: Left shift of the sum, >= 0.

    Example:
        >>> dense_accumulate(np.array([[2, -4], [6, 8]]), np.array([1, 1])).tolist()
        [-2, 14]
    """
    total = weight.astype(np.int64, copy=False) @ np.asarray(spikes, dtype=np.int64)
    return to_int32(to_int32(total).astype(np.int64) << weight_exp)


def conv_output_shape(
    source_shape: tuple[int, int, int],
    weight_shape: tuple[int, ...],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int, int]:
    """(x, y, channel) of a convolution's result; a size below 1 means that the kernel does not fit.

    Args:
        source_shape: (x, y, channel) of the source.
        weight_shape: (out, kernel_x, kernel_y, in / groups).
        stride: (x, y).
        padding: (x, y), zeros on both sides.
        dilation: (x, y).

    Example:
        >>> conv_output_shape((8, 8, 1), (16, 3, 3, 1), (2, 2), (1, 1), (1, 1))
        (4, 4, 16)
    """
    x, y = (
        (source_shape[i] + 2 * padding[i] - dilation[i] * (weight_shape[1 + i] - 1) - 1) // stride[i] + 1
        for i in (0, 1)
    )
    return x, y, weight_shape[0]


def conv_accumulate(
    weight: IntArray,
    spikes: IntArray,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Int32Array:
    r"""Correlate a source image with a kernel, wrapped to 24 bits.

    .. math:: a[x, y, o] = \sum_{i, j, c} w[o, i, j, c] \; s[x s_x - p_x + i d_x,\; y s_y - p_y + j d_y,\; c]

    The kernel is PyTorch's (correlation, not flipped). Lava's ``Conv`` process flips its kernel: its
    weight is ``weight[:, ::-1, ::-1]`` of this one.

    Args:
        weight: Integers, shape (out, kernel_x, kernel_y, in / groups).
        spikes: Source values, shape (x, y, in).
        stride: (x, y).
        padding: (x, y), zeros on both sides.
        dilation: (x, y).
        groups: Blocks of channels that are connected with each other only.

    Returns:
        int32 array of shape `conv_output_shape(...)`, within [-2^23, 2^23).
    """
    n_x, n_y, n_out = conv_output_shape(spikes.shape, weight.shape, stride, padding, dilation)  # type: ignore[arg-type]
    width, height, n_in = spikes.shape
    source = np.zeros((width + 2 * padding[0], height + 2 * padding[1], n_in), dtype=np.int64)
    source[padding[0] : padding[0] + width, padding[1] : padding[1] + height] = spikes  # np.pad takes longer
    kernel = weight.astype(np.int64)
    in_per_group, out_per_group = weight.shape[3], n_out // groups
    total = np.zeros((n_x, n_y, n_out), dtype=np.int64)
    for i in range(weight.shape[1]):
        for j in range(weight.shape[2]):
            x0, y0 = i * dilation[0], j * dilation[1]
            taps = source[
                x0 : x0 + (n_x - 1) * stride[0] + 1 : stride[0],
                y0 : y0 + (n_y - 1) * stride[1] + 1 : stride[1],
            ]
            for g in range(groups):
                outs = slice(g * out_per_group, (g + 1) * out_per_group)
                ins = slice(g * in_per_group, (g + 1) * in_per_group)
                total[:, :, outs] += taps[:, :, ins] @ kernel[outs, i, j].T
    return wrap24_accumulator(total)


def conv_transpose_output_shape(  # noqa: PLR0917 -- as torch's
    source_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: tuple[int, int],
    padding: tuple[int, int],
    output_padding: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int, int]:
    """(x, y, channel) of a transposed convolution's result; a size below 1 means that everything is cut off.

    Args:
        source_shape: (x, y, channel) of the source.
        weight_shape: (out, kernel_x, kernel_y, in / groups).
        stride: (x, y).
        padding: (x, y), cut off on both sides.
        output_padding: (x, y), added at the far side.
        dilation: (x, y).

    Example:
        >>> conv_transpose_output_shape((4, 4, 8), (2, 3, 3, 8), (2, 2), (1, 1), (1, 1), (1, 1))
        (8, 8, 2)
    """
    x, y = (
        (source_shape[i] - 1) * stride[i]
        - 2 * padding[i]
        + dilation[i] * (weight_shape[1 + i] - 1)
        + output_padding[i]
        + 1
        for i in (0, 1)
    )
    return x, y, weight_shape[0]


def conv_transpose_accumulate(
    weight: IntArray,
    spikes: IntArray,
    *,
    shape: tuple[int, ...],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    weight_exp: int = 0,
) -> Int32Array:
    r"""Add every source value's kernel to an image at its place, modulo 2^32.

    .. math:: a[x s_x - p_x + i d_x,\; y s_y - p_y + j d_y,\; o] \mathrel{+}= 2^e \, w[o, i, j, c] \; s[x, y, c]

    Args:
        weight: Integers, shape (out, kernel_x, kernel_y, in / groups).
        spikes: Source values, shape (x, y, in).
        shape: Of the result, (x, y, out).
        stride: (x, y).
        padding: (x, y), cut off on both sides.
        dilation: (x, y).
        groups: Blocks of channels that are connected with each other only.
        weight_exp: Left shift of the sum, >= 0.

    Example:
        >>> kernel, image = np.array([1, 2]).reshape(1, 2, 1, 1), np.array([3, 4]).reshape(2, 1, 1)
        >>> conv_transpose_accumulate(kernel, image, shape=(4, 1, 1), stride=(2, 1)).ravel()
        array([3, 6, 4, 8], dtype=int32)
    """
    n_x, n_y = spikes.shape[:2]
    out_per_group, in_per_group = weight.shape[0] // groups, weight.shape[3]
    whole = [
        max((n - 1) * stride[i] + dilation[i] * (weight.shape[1 + i] - 1) + 1, shape[i] + padding[i])
        for i, n in enumerate((n_x, n_y))
    ]
    total = np.zeros((*whole, weight.shape[0]), dtype=np.int64)
    source, kernel = spikes.astype(np.int64), weight.astype(np.int64)
    for i in range(weight.shape[1]):
        for j in range(weight.shape[2]):
            x0, y0 = i * dilation[0], j * dilation[1]
            places = total[
                x0 : x0 + (n_x - 1) * stride[0] + 1 : stride[0], y0 : y0 + (n_y - 1) * stride[1] + 1 : stride[1]
            ]
            for g in range(groups):
                outs = slice(g * out_per_group, (g + 1) * out_per_group)
                ins = slice(g * in_per_group, (g + 1) * in_per_group)
                places[:, :, outs] += source[:, :, ins] @ kernel[outs, i, j].T
    kept = total[padding[0] : padding[0] + shape[0], padding[1] : padding[1] + shape[1]]
    return to_int32(to_int32(kept).astype(np.int64) << weight_exp)


def sparse_accumulate(
    rows: IntArray, columns: IntArray, values: IntArray, spikes: IntArray, *, n_target: int, weight_exp: int = 0
) -> Int32Array:
    """The product of a sparse matrix and a vector, times 2^weight_exp, modulo 2^32.

    Args:
        rows: Target of each weight, shape (n,).
        columns: Source of each weight, shape (n,).
        values: Weights, shape (n,); two at one place add up.
        spikes: Source values, shape (n_source,).
        n_target: Number of targets.
        weight_exp: Left shift of the sum, >= 0.

    Example:
        >>> rows, columns, values = np.array([1, 1]), np.array([0, 2]), np.array([4, 6])
        >>> sparse_accumulate(rows, columns, values, np.array([1, 9, 2]), n_target=2).tolist()
        [0, 16]
    """
    total = np.zeros(n_target, dtype=np.int64)
    np.add.at(total, rows, values.astype(np.int64) * np.asarray(spikes, dtype=np.int64)[columns])
    return to_int32(to_int32(total).astype(np.int64) << weight_exp)


def token_mixing_accumulate(weight: IntArray, spikes: IntArray, weight_exp: int = 0) -> Int32Array:
    r"""Mix the tokens of each channel, head by head, modulo 2^32.

    .. math:: a[m, c] = 2^e \sum_n w[h(c), m, n] \; s[n, c], \qquad h(c) = \lfloor c H / C \rfloor

    Args:
        weight: Integers, shape (heads, tokens, tokens).
        spikes: Source values, shape (x, y, channel); token number y * width + x.
        weight_exp: Left shift of the sum, >= 0.

    Returns:
        int32 array, shape (x, y, channel).
    """
    width, height, channels = spikes.shape
    heads = len(weight)
    tokens = spikes.astype(np.int64).transpose(1, 0, 2).reshape(height * width, heads, channels // heads)
    mixed = np.einsum("hmn,nhc->mhc", weight.astype(np.int64), tokens)
    image = mixed.reshape(height, width, channels).transpose(1, 0, 2)
    return to_int32(to_int32(image).astype(np.int64) << weight_exp)
