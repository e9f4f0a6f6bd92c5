"""Batch normalisation of channels that lie last in memory: sums of rows, and affine maps of them.

Arrays are flat; a row holds all channels, several times over where they are few, so that loops along it are
vectorised. Sums run in float32 over `ROWS` rows and are then handed out, to be added up in float64; so they depend
neither on the number of threads nor, beyond the last bits, on the size of a batch.
"""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

from pumice.jit import njit
from pumice.nn.kernels.cuba import Array

ROWS = 64


@njit(nogil=True, cache=True)
def sum_powers(start: int, stop: int, x: Array, shift: Array, sums: Array, squares: Array) -> None:
    """Sums of x - shift and of its square over each group of `ROWS` rows.

    Args:
        start: First group.
        stop: Behind the last group.
        x: Input, float32.
        shift: Near the mean, for each number of a row, so that squares do not cancel; float32.
        sums: Receives them, (group, row).
        squares: Receives them, (group, row).
    """
    width = len(shift)
    for group in range(start, stop):
        total, square = sums[group], squares[group]
        total[:], square[:] = 0, 0
        for first in range(group * ROWS * width, min(len(x), (group + 1) * ROWS * width), width):
            row = x[first : first + width]
            for k in range(width):
                difference = row[k] - shift[k]
                total[k] += difference
                square[k] += difference * difference


@njit(nogil=True, cache=True)
def sum_products(start: int, stop: int, x: Array, g: Array, mean: Array, sums: Array, products: Array) -> None:
    """Sums of g and of g * (x - mean), as in `sum_powers`."""
    width = len(mean)
    for group in range(start, stop):
        total, product = sums[group], products[group]
        total[:], product[:] = 0, 0
        for first in range(group * ROWS * width, min(len(x), (group + 1) * ROWS * width), width):
            x_row, g_row = x[first : first + width], g[first : first + width]
            for k in range(width):
                total[k] += g_row[k]
                product[k] += g_row[k] * (x_row[k] - mean[k])


@njit(nogil=True, cache=True)
def scale(start: int, stop: int, x: Array, gain: Array, offset: Array, y: Array) -> None:
    """Write y = x * gain + offset, rows `start` to `stop`."""
    width = len(gain)
    for first in range(start * width, stop * width, width):
        x_row, y_row = x[first : first + width], y[first : first + width]
        for k in range(width):
            y_row[k] = x_row[k] * gain[k] + offset[k]


@njit(nogil=True, cache=True)
def adjoint(
    start: int, stop: int, x: Array, g: Array, mean: Array, gain: Array, of_mean: Array, of_var: Array, out: Array
) -> None:
    """Write out = (g - of_mean - (x - mean) * of_var) * gain, rows `start` to `stop`."""
    width = len(gain)
    for first in range(start * width, stop * width, width):
        x_row, g_row, out_row = x[first : first + width], g[first : first + width], out[first : first + width]
        for k in range(width):
            out_row[k] = (g_row[k] - of_mean[k] - (x_row[k] - mean[k]) * of_var[k]) * gain[k]
