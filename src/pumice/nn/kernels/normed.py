"""A batch norm between the two leaky integrators of a CUBA neuron, in two passes over memory each way.

Every number is that of the loops by themselves, `cuba`, `norm` and `stbp`: these go over one group of neurons after
the other, so that what one wrote is in the cache when the next reads it. Arrays are (time, neuron).
"""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

from typing import Any

import numpy as np

from pumice.jit import njit
from pumice.nn.kernels.cuba import flush, rounded
from pumice.nn.kernels.narrow import integrate_forward
from pumice.nn.kernels.norm import sum_powers, sum_products
from pumice.nn.kernels.spread import BLOCK, Array, row_starts, spread
from pumice.nn.kernels.stbp import lif_backward

KEPT, MEAN, GAIN, OF_MEAN, OF_VAR = (np.uintp(n * BLOCK) for n in range(1, 6))


@njit(nogil=True, cache=True)
def current_forward(
    start: int,
    stop: int,
    span: int,
    x: Array,
    keep: Array,
    y: Array | None,
    left: Array,
    near: Array,
    scale: np.float32,
    sums: Array,
    squares: Array,
) -> None:
    """`narrow.integrate_forward` and `norm.sum_powers` of what it gives, group by group; worthless if any is left.

    Without y, nothing is kept of a current, and it is `cuba.rounded` x.
    """
    if y is None:
        sum_powers(start, stop, span, x, near, scale, sums, squares)
        return
    for group in range(start, stop):
        begin, end = group * span, min(x.shape[1], (group + 1) * span)
        integrate_forward(begin, end, x, keep, None, scale, y, left)
        sum_powers(group, group + 1, span, y, near, scale, sums, squares)


@njit(nogil=True, cache=True)
def voltage_backward(
    start: int,
    stop: int,
    span: int,
    g_s: Array,
    v: Array,
    y: Array,
    keep: Array,
    threshold: np.float32,
    of: Any,
    reset: int,
    g: Array,
    mean: Array,
    scale: np.float32,
    sums: Array,
    products: Array,
) -> None:
    """`stbp.lif_backward` and `norm.sum_products` of `cuba.rounded` y and what it gives, group by group."""
    for group in range(start, stop):
        begin, end = group * span, min(y.shape[1], (group + 1) * span)
        lif_backward(begin, end, g_s, v, keep, threshold, np.float32(1), of, reset, g)
        sum_products(group, group + 1, span, y, g, mean, scale, sums, products)


@njit(nogil=True, cache=True)
def current_backward(
    start: int,
    stop: int,
    y: Array,
    scale: np.float32,
    keep: Array,
    mean: Array,
    gain: Array,
    of_mean: Array,
    of_var: Array,
    g: Array,
) -> None:
    """`norm.adjoint` of `cuba.rounded` y and `cuba.integrate_backward` of what it gives, in place.

    All arrays but y and g are per channel.
    """
    unit = np.float32(1) / scale
    rows = np.empty(6 * BLOCK, np.float32)
    y_, g_ = y.reshape(-1), g.reshape(-1)
    starts = row_starts(g)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        rows[:size] = 0
        spread(keep, first, rows[BLOCK : BLOCK + size])
        spread(mean, first, rows[2 * BLOCK : 2 * BLOCK + size])
        spread(gain, first, rows[3 * BLOCK : 3 * BLOCK + size])
        spread(of_mean, first, rows[4 * BLOCK : 4 * BLOCK + size])
        spread(of_var, first, rows[5 * BLOCK : 5 * BLOCK + size])
        for t in range(len(g) - 1, -1, -1):
            at = starts[t] + np.uintp(first)
            for i in range(np.uintp(size)):
                deviation = rounded(y_[at + i], scale, unit) - rows[MEAN + i]
                straight = g_[at + i] - rows[OF_MEAN + i] - deviation * rows[OF_VAR + i]
                rows[i] = flush(rows[KEPT + i] * rows[i] + straight * rows[GAIN + i])
                g_[at + i] = rows[i]
