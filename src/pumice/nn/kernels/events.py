"""Products with sparse spikes: only what is not zero is read.

A sample's spikes are a matrix in compressed rows: those of row r of sample b are `pointers[b, r]` to
`pointers[b, r + 1]` in `columns[b]` and `values[b]`. Rows are steps and columns neurons, or the other way round.
"""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.jit import njit

Array = npt.NDArray[Any]
GROUP = 8  # numbers that are looked at together
TOO_MANY = -1
TILE = 16  # rows and columns that are copied at a time


@njit(nogil=True, cache=True)
def compress(
    start: int,
    stop: int,
    x: Array,
    bits: Array,
    strides: tuple[int, int],
    width: int,
    pointers: Array,
    columns: Array,
    values: Array,
) -> None:
    """Find what is not zero in samples `start` to `stop`.

    A branch on every number would often be mispredicted: groups with a spike are listed first, then read, and what
    is zero is overwritten by the next.

    Args:
        start: First sample.
        stop: Behind the last sample.
        x: Spikes, float32, flat; the numbers of a row follow each other.
        bits: The same memory as int32, where a group of zeros is found by "or".
        strides: How far samples are apart in x, and rows.
        width: Numbers in a row.
        pointers: Receives them, (batch, rows + 1); `TOO_MANY` at the end of a sample that does not fit, the last that
            is looked at.
        columns: Receives each spike's place in its row; its second axis is a row more than a sample may have.
        values: Receives each spike's value.
    """
    rows, most = pointers.shape[1] - 1, np.uintp(columns.shape[1])
    size, in_groups = np.uintp(width), np.uintp(width - width % GROUP)
    groups = np.empty(width // GROUP + 1, np.uintp)
    for b in range(start, stop):
        columns_b, values_b = columns[b], values[b]
        n, pointers[b, 0] = np.uintp(0), 0
        for r in range(rows):
            if n + size > most:
                pointers[b, rows] = TOO_MANY
                return
            row, found = np.uintp(b * strides[0] + r * strides[1]), np.uintp(0)
            for first in range(np.uintp(0), in_groups, np.uintp(GROUP)):
                union = np.int32(0)
                for k in range(np.uintp(GROUP)):
                    union |= bits[row + first + k]
                groups[found] = first
                found += np.uintp(union != 0)
            for i in range(found):
                for k in range(groups[i], groups[i] + np.uintp(GROUP)):
                    columns_b[n], values_b[n] = k, x[row + k]
                    n += np.uintp(bits[row + k] != 0)
            for k in range(in_groups, size):
                columns_b[n], values_b[n] = k, x[row + k]
                n += np.uintp(bits[row + k] != 0)
            pointers[b, r + 1] = n


@njit(nogil=True, cache=True)
def transpose(
    start: int,
    stop: int,
    pointers: Array,
    columns: Array,
    values: Array,
    new_pointers: Array,
    new_columns: Array,
    new_values: Array,
) -> None:
    """Make columns rows.

    Args:
        start: First sample.
        stop: Behind the last sample.
        pointers: As `compress` gives them.
        columns: As `compress` gives them.
        values: As `compress` gives them.
        new_pointers: Zeros (batch, number of columns + 1); receives the pointers.
        new_columns: Receives each spike's row.
        new_values: Receives each spike's value.
    """
    for b in range(start, stop):
        n = pointers[b, -1]
        for e in range(n):
            new_pointers[b, columns[b, e] + 1] += 1
        for c in range(new_pointers.shape[1] - 1):
            new_pointers[b, c + 1] += new_pointers[b, c]
        place = new_pointers[b, :-1].copy()
        for r in range(pointers.shape[1] - 1):
            for e in range(pointers[b, r], pointers[b, r + 1]):
                at = place[columns[b, e]]
                new_columns[b, at], new_values[b, at] = r, values[b, e]
                place[columns[b, e]] = at + 1


@njit(nogil=True, cache=True)
def exchange_axes(start: int, stop: int, x: Array, y: Array) -> None:
    """y[j, i] = x[i, j], tile by tile: torch's copy is several times slower where rows lie a power of two apart.

    Args:
        start: First column of x.
        stop: Behind the last column.
        x: (n, m), contiguous.
        y: (m, n), contiguous; receives the values.
    """
    n = len(x)
    for j0 in range(start, stop, TILE):
        for i0 in range(0, n, TILE):
            for j in range(j0, min(j0 + TILE, stop)):
                for i in range(i0, min(i0 + TILE, n)):
                    y[j, i] = x[i, j]


@njit(nogil=True, cache=True)
def multiply(
    start: int,
    stop: int,
    pointers: Array,
    columns: Array,
    values: Array,
    table: Array,
    table_strides: tuple[int, int],
    out: Array,
    out_strides: tuple[int, int],
) -> None:
    """out[b, row] = sum of value * table[b, column] over the row's spikes.

    Args:
        start: First row, of all samples.
        stop: Behind the last row.
        pointers: As `compress` gives them.
        columns: As `compress` gives them.
        values: As `compress` gives them.
        table: (n, outputs), contiguous.
        table_strides: How far in n samples are apart (0: the same for all), and columns.
        out: (m, outputs), contiguous; receives the sums.
        out_strides: How far in m samples are apart (0: all samples are added up), and rows.
    """
    if out_strides[0] == 0:  # also where there is no sample
        for r in range(start, stop):
            out[r * out_strides[1]] = 0
    for b in range(len(pointers)):
        base, step = b * table_strides[0], table_strides[1]
        for r in range(start, stop):
            e, end = pointers[b, r], pointers[b, r + 1]
            total = out[b * out_strides[0] + r * out_strides[1]]
            if out_strides[0]:
                total[:] = 0
            while e + 3 < end:  # four spikes for one pass over the sums
                t0, t1 = table[base + step * columns[b, e]], table[base + step * columns[b, e + 1]]
                t2, t3 = table[base + step * columns[b, e + 2]], table[base + step * columns[b, e + 3]]
                x0, x1, x2, x3 = values[b, e], values[b, e + 1], values[b, e + 2], values[b, e + 3]
                for k in range(len(total)):
                    total[k] += (x0 * t0[k] + x1 * t1[k]) + (x2 * t2[k] + x3 * t3[k])
                e += 4
            for rest in range(e, end):
                t0, x0 = table[base + step * columns[b, rest]], values[b, rest]
                for k in range(len(total)):
                    total[k] += x0 * t0[k]
