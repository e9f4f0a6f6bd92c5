"""Batch normalisation of channels that lie last in memory: sums of rows, and affine maps of them.

A row holds all channels, several times over where they are few, so that loops along it are vectorised; at the end of
an array it may be cut short. What is summed is (time, neuron), the channel running fastest among the neurons. Sums of
about `ROWS` rows run in float32 and are then handed out, to be added up in float64; so they depend neither on the
number of threads nor, beyond the last bits, on the size of a batch.
"""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

from pumice.jit import njit
from pumice.nn.kernels.spread import Array

ROWS = 64


@njit(nogil=True, cache=True)
def sum_powers(start: int, stop: int, span: int, x: Array, shift: Array, sums: Array, squares: Array) -> None:
    """Sums of x - shift and of its square over groups of neurons.

    Args:
        start: First group.
        stop: Behind the last group.
        span: Neurons of a group, whole rows.
        x: Input, float32.
        shift: Near the mean, for each number of a row, so that squares do not cancel; float32.
        sums: Receives them, (group, each `ROWS` steps, row).
        squares: Receives them, (group, each `ROWS` steps, row).
    """
    width = len(shift)
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
                        difference = row[k] - shift[k]
                        total[k] += difference
                        square[k] += difference * difference


@njit(nogil=True, cache=True)
def sum_products(
    start: int, stop: int, span: int, x: Array, g: Array, mean: Array, sums: Array, products: Array
) -> None:
    """Sums of g and of g * (x - mean), as in `sum_powers`."""
    width = len(mean)
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
                        product[k] += g_row[k] * (x_row[k] - mean[k])


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
