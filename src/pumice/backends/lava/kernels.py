"""Convolution kernels in the form that Lava's `Conv` needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer[Any]]

MAX_INT8 = 127
"""Lava's model holds groups, kernel size, stride, padding and dilation in 8 bits, and wraps what is larger: with 384
groups it gives only zeros."""


def regrouped(weight: IntArray, groups: int, at_most: int) -> tuple[IntArray, int]:
    """The same convolution with fewer, larger groups, whose kernel is zero between the old ones.

    Args:
        weight: Shape (out, kernel_x, kernel_y, in / groups).
        groups: Of `weight`.
        at_most: Largest number of groups allowed.

    Returns:
        The kernel, shape (out, kernel_x, kernel_y, in / fewer groups), and its number of groups.

    Example:
        >>> kernel, groups = regrouped(np.array([2, 3]).reshape(2, 1, 1, 1), 2, at_most=1)
        >>> kernel[:, 0, 0].tolist(), groups
        ([[2, 0], [0, 3]], 1)
    """
    fewer = max(n for n in range(1, min(groups, at_most) + 1) if groups % n == 0)
    if fewer == groups:
        return weight, groups
    n_out, n_x, n_y, per_group = weight.shape
    merged = groups // fewer
    full = np.zeros((n_out, n_x, n_y, merged, per_group), weight.dtype)
    for out in range(n_out):
        full[out, :, :, out * groups // n_out % merged] = weight[out]
    return full.reshape(n_out, n_x, n_y, merged * per_group), fewer


def masked(weight: IntArray, groups: int, kept: npt.NDArray[np.bool_]) -> IntArray:
    """The kernel without the source channels that are not kept.

    Args:
        weight: Shape (out, kernel_x, kernel_y, in / groups).
        groups: Of `weight`.
        kept: Shape (in,).
    """
    if kept.all():
        return weight
    per_group = weight.shape[3]
    group_of_out = np.arange(weight.shape[0]) // (weight.shape[0] // groups)
    mask = kept[group_of_out[:, None] * per_group + np.arange(per_group)]
    return weight * mask[:, None, None]
