"""Convolutions of few spikes: each adds its part of the kernel to the outputs that it reaches.

Weights lie as (phase, kernel row, channel in, tap, channel out), a phase being a column's remainder by the stride.
Then what a spike adds to one row of outputs is contiguous, at both ends, and equally long but at the borders.
Spikes are those of `events.compress`: a sample is an image, its rows are the image's, of (width, channel).
"""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

import numpy as np

from pumice.jit import njit
from pumice.nn.kernels.spread import Array


@njit(nogil=True, cache=True)
def convolve(
    start: int,
    stop: int,
    pointers: Array,
    columns: Array,
    values: Array,
    reached: Array,
    rows: Array,
    table: Array,
    out: Array,
) -> None:
    """Add up what the spikes of images `start` to `stop` send.

    Args:
        start: First image.
        stop: Behind the last image.
        pointers: As `events.compress` gives them, like the next two.
        columns: See there.
        values: See there.
        reached: For each column, where its outputs begin in their row, where its weights do, and how many they are.
        rows: For each row of the image, where the rows of outputs that it reaches begin (or -1), and their weights.
        table: The weights, flat.
        out: Receives the sums, (image, output).
    """
    flat = out.reshape(-1)  # unsigned indices, as in `narrow`
    for image in range(start, stop):
        base = np.uintp(image * out.shape[1])
        out[image, :] = 0
        columns_, values_ = columns[image], values[image]
        for r in range(len(rows)):
            for tap in range(rows.shape[2]):
                if rows[r, 0, tap] < 0:
                    continue
                to, of = base + np.uintp(rows[r, 0, tap]), np.uintp(rows[r, 1, tap])
                for e in range(pointers[image, r], pointers[image, r + 1]):
                    column, value = np.uintp(columns_[e]), values_[e]
                    y, w = to + reached[0, column], of + reached[1, column]
                    for k in range(reached[2, column]):
                        flat[y + k] += value * table[w + k]


@njit(nogil=True, cache=True)
def correlate(
    start: int,
    stop: int,
    images: int,
    pointers: Array,
    columns: Array,
    values: Array,
    reached: Array,
    rows: Array,
    g: Array,
    sums: Array,
) -> None:
    """The adjoint for the weights, of groups `start` to `stop` of so many images each.

    Args:
        start: First group.
        stop: Behind the last group.
        images: In a group.
        pointers: As in `convolve`, like the next four.
        columns: See there.
        values: See there.
        reached: See there.
        rows: See there.
        g: Gradient of the sums, (image, output).
        sums: Receives each group's gradient of the table, (group, weight).
    """
    flat, flat_g = sums.reshape(-1), g.reshape(-1)
    for group in range(start, stop):
        sums[group, :] = 0
        for image in range(group * images, min(len(g), (group + 1) * images)):
            columns_, values_ = columns[image], values[image]
            for r in range(len(rows)):
                for tap in range(rows.shape[2]):
                    if rows[r, 0, tap] < 0:
                        continue
                    of = np.uintp(image * g.shape[1] + rows[r, 0, tap])
                    to = np.uintp(group * sums.shape[1] + rows[r, 1, tap])
                    for e in range(pointers[image, r], pointers[image, r + 1]):
                        column, value = np.uintp(columns_[e]), values_[e]
                        y, w = of + reached[0, column], to + reached[1, column]
                        for k in range(reached[2, column]):
                            flat[w + k] += value * flat_g[y + k]
