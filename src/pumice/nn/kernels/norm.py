"""Batch normalisation of channels that lie last in memory: sums of rows, and affine maps of them.

A row holds all channels, several times over where they are few, so that loops along it are vectorised; at the end of
an array it may be cut short. What is summed is (time, neuron), the channel running fastest among the neurons. Sums of
about `ROWS` rows run in float32 and are then handed out, to be added up in float64; so they depend neither on the
number of threads nor, beyond the last bits, on the size of a batch.
"""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

from typing import Any

import numpy as np

from pumice.jit import njit
from pumice.nn.kernels.cuba import rounded
from pumice.nn.kernels.spread import Array, spread
from pumice.nn.kernels.surrogate import WITHOUT_CHECKS

ROWS = 64


@njit(nogil=True, cache=True)
def sum_powers(
    start: int, stop: int, span: int, x: Array, near: Array, scale: Any, sums: Array, squares: Array
) -> None:
    """Sums of x - near and of its square over groups of neurons.

    Args:
        start: First group.
        stop: Behind the last group.
        span: Neurons of a group, whole rows.
        x: Input, float32.
        near: Of each channel a number near the mean, so that squares do not cancel; float32.
        scale: If it is there, `cuba.rounded` numbers are meant, of x and near.
        sums: Receives them, (group, each `ROWS` steps, row).
        squares: Receives them, (group, each `ROWS` steps, row).
    """
    width, unit = sums.shape[2], np.float32(1) if scale is None else np.float32(1) / scale
    shift = np.empty(width, np.float32)
    spread(near, 0, shift)
    if scale is not None:
        for k in range(width):
            shift[k] = rounded(shift[k], scale, unit)
    for group in range(start, stop):
        begin, end = group * span, min(x.shape[1], (group + 1) * span)
        for chunk in range(sums.shape[1]):
            total, square = sums[group, chunk], squares[group, chunk]
            total[:], square[:] = 0, 0
            for t in range(chunk * ROWS, min(len(x), (chunk + 1) * ROWS)):
                for first in range(begin, end, width):
                    size = min(width, end - first)
                    row = x[t, first : first + size]
                    for k in range(size):
                        number = row[k] if scale is None else rounded(row[k], scale, unit)
                        difference = number - shift[k]
                        total[k] += difference
                        square[k] += difference * difference


@njit(nogil=True, cache=True)
def sum_products(
    start: int, stop: int, span: int, x: Array, g: Array, mean: Array, scale: Any, sums: Array, products: Array
) -> None:
    """Sums of g and of g * (x - mean), as in `sum_powers`; mean is as it is."""
    width, unit = sums.shape[2], np.float32(1) if scale is None else np.float32(1) / scale
    shift = np.empty(width, np.float32)
    spread(mean, 0, shift)
    for group in range(start, stop):
        begin, end = group * span, min(x.shape[1], (group + 1) * span)
        for chunk in range(sums.shape[1]):
            total, product = sums[group, chunk], products[group, chunk]
            total[:], product[:] = 0, 0
            for t in range(chunk * ROWS, min(len(x), (chunk + 1) * ROWS)):
                for first in range(begin, end, width):
                    size = min(width, end - first)
                    x_row, g_row = x[t, first : first + size], g[t, first : first + size]
                    for k in range(size):
                        total[k] += g_row[k]
                        number = x_row[k] if scale is None else rounded(x_row[k], scale, unit)
                        product[k] += g_row[k] * (number - shift[k])


@njit(cache=True)
def _per_channel(sums: Array, channels: int) -> Array:
    """What groups added up, in float64, of shape (channel,)."""
    row, found = np.zeros(sums.shape[2]), np.zeros(channels)
    for group in range(len(sums)):
        for chunk in range(sums.shape[1]):
            for k in range(len(row)):
                row[k] += sums[group, chunk, k]
    for k in range(len(row)):
        found[k % channels] += row[k]
    return found


@njit(cache=True, **WITHOUT_CHECKS)
def write_statistics(
    powers: Array,
    near: Array,
    scale: Any,
    n: int,
    gain: Array,
    shift: Array,
    eps: float,
    unbiased: bool,
    stats: Array,
) -> None:
    """What `cpu_norm.normalize_forward` says of stats.

    Args:
        powers: Both sums that `sum_powers` gives.
        near: As there, like the next.
        scale: See there.
        n: Numbers in each channel.
        gain: As in `cpu_norm.normalize_forward`, like the others.
        shift: See there.
        eps: See there.
        unbiased: See there.
        stats: See there.
    """
    first, second = _per_channel(powers[0], len(near)), _per_channel(powers[1], len(near))
    for c in range(len(near)):
        about = near[c] if scale is None else rounded(near[c], scale, np.float32(1) / scale)
        mean, var = first[c] / n + about, (second[c] - first[c] * first[c] / n) / n
        with_n_minus_1 = var * (n / max(n - 1, 1))
        chosen = (with_n_minus_1 if unbiased else var) + eps
        inverse = 1 / (np.sqrt(chosen) + (chosen - chosen))  # as `nn.deviation`
        stats[0, c], stats[1, c], stats[2, c] = mean, inverse, gain[c] * inverse
        stats[3, c], stats[4, c] = shift[c] - stats[2, c] * mean, with_n_minus_1


@njit(cache=True, **WITHOUT_CHECKS)
def write_gradients(sums: Array, n: int, stats: Array, unbiased: bool, grads: Array, of_x: Array) -> None:
    """Gradients of gain and shift, and, for `adjoint`, of the mean and the variance.

    Args:
        sums: Both that `sum_products` gives.
        n: Numbers in each channel.
        stats: As `write_statistics` gives them.
        unbiased: As there.
        grads: Receives the first two, (2, channel).
        of_x: Receives the last two, (2, channel).
    """
    channels = stats.shape[1]
    total, product = _per_channel(sums[0], channels), _per_channel(sums[1], channels)
    for c in range(channels):
        inverse = stats[1, c]
        grads[0, c], grads[1, c] = product[c] * inverse, total[c]
        of_x[0, c], of_x[1, c] = total[c] / n, product[c] * inverse * inverse / (max(n - 1, 1) if unbiased else n)


@njit(nogil=True, cache=True)
def scale(start: int, stop: int, x: Array, gain: Array, offset: Array, y: Array) -> None:
    """Write y = x * gain + offset, rows `start` to `stop` of flat arrays."""
    width = len(gain)
    for first in range(start * width, min(len(x), stop * width), width):
        size = min(width, len(x) - first)
        x_row, y_row = x[first : first + size], y[first : first + size]
        for k in range(size):
            y_row[k] = x_row[k] * gain[k] + offset[k]


@njit(nogil=True, cache=True)
def adjoint(
    start: int, stop: int, x: Array, g: Array, mean: Array, gain: Array, of_mean: Array, of_var: Array, out: Array
) -> None:
    """Write out = (g - of_mean - (x - mean) * of_var) * gain, rows `start` to `stop` of flat arrays."""
    width = len(gain)
    for first in range(start * width, min(len(x), stop * width), width):
        size = min(width, len(x) - first)
        x_row, g_row, out_row = x[first : first + size], g[first : first + size], out[first : first + size]
        for k in range(size):
            out_row[k] = (g_row[k] - of_mean[k] - (x_row[k] - mean[k]) * of_var[k]) * gain[k]
