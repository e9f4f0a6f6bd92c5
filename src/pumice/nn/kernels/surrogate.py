"""The surrogates of `pumice.nn.surrogate` in compiled loops, by their kernel's name and two numbers.

Except for the exponentials, which torch computes differently in the last bit, every number is `derivative`'s.
"""

# ruff: noqa: PLR0912, PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

import math

import numpy as np

from pumice.jit import njit
from pumice.nn.kernels.cuba import flush
from pumice.nn.kernels.spread import BLOCK, Array
from pumice.nn.surrogate.base import COMPILED

KINDS = (*COMPILED, "given")
RECTANGULAR, TRIANGLE, ARCTAN, FAST_SIGMOID, DSPIKE, EXPONENTIAL, GRADED, GIVEN = range(len(KINDS))
C0, C1, C2, C3, C4, C5, C6 = (np.float32(math.log(2) ** n / math.factorial(n)) for n in range(7))  # of 2^f
LOG2E = np.float32(1 / math.log(2))
ZERO, ONE, TWO, FOUR, LOWEST, HIGHEST = (np.float32(n) for n in (0, 1, 2, 4, -125, 127))


@njit(nogil=True, cache=True, error_model="numpy")
def _exponential(x: Array, h: Array, factor: np.float32) -> None:
    """Write factor * 2^x for x from -125 to 127, to the last bits of float32: 2^n (1 + f ln 2 + ...)."""
    power = np.empty(len(x), np.int32)
    two_to_n = power.view(np.float32)
    for i in range(len(x)):
        n = np.rint(x[i])
        x[i] -= n
        power[i] = (np.int32(n) + np.int32(127)) << np.int32(23)
    for i in range(len(x)):
        f = x[i]
        h[i] = factor * (((((((C6 * f + C5) * f + C4) * f + C3) * f + C2) * f + C1) * f + C0) * two_to_n[i])


@njit(nogil=True, cache=True, error_model="numpy")
def derivative(kind: int, a: np.float32, b: np.float32, x: Array, h: Array) -> None:
    """Write h = f'(x); x is used up.

    Args:
        kind: An index into `KINDS`, but `GIVEN`.
        a: See the surrogate.
        b: See the surrogate.
        x: Voltage less threshold, float32.
        h: Receives the derivative.
    """
    half, size = a / TWO, len(x)
    if kind == RECTANGULAR:
        height = ONE / a
        for i in range(size):
            h[i] = height if abs(x[i]) < half else ZERO
    elif kind == TRIANGLE:
        for i in range(size):
            h[i] = max(ONE - abs(x[i]) / a, ZERO) / a
    elif kind == ARCTAN:
        for i in range(size):
            h[i] = ONE / (ONE + (b * x[i]) * (b * x[i])) * half
    elif kind == FAST_SIGMOID:
        for i in range(size):
            h[i] = ONE / ((ONE + a * abs(x[i])) * (ONE + a * abs(x[i]))) * half
    elif kind == DSPIKE:
        for i in range(size):
            h[i] = b if abs(x[i]) <= ONE else ZERO
            x[i] = max(abs(x[i]) * (-TWO * a * LOG2E), LOWEST)
        tail = np.empty(size, np.float32)
        _exponential(x, tail, ONE)
        for i in range(size):  # 1 - tanh^2 = 4 e / (1 + e)^2
            h[i] *= FOUR * tail[i] / ((ONE + tail[i]) * (ONE + tail[i]))
    else:  # one of the exponentials
        per_unit = -LOG2E / a
        for i in range(size):
            distance = abs(x[i]) if kind == EXPONENTIAL else max(-x[i], ZERO)
            x[i] = min(max(distance * per_unit, LOWEST), HIGHEST)
        _exponential(x, h, b)


@njit(nogil=True, cache=True, error_model="numpy")
def slope(
    v: Array,
    at: int,
    threshold: np.float32,
    scale: np.float32,
    kind: int,
    a: np.float32,
    b: np.float32,
    x: Array,
    given: Array,
    h: Array,
) -> None:
    """Write h = f'((v - threshold) / scale) / scale, or what is given.

    Args:
        v: Voltages, float32, flat.
        at: The first of as many as h has room for.
        threshold: In their units.
        scale: Of these units in one of the surrogate's.
        kind: See `derivative`.
        a: See `derivative`.
        b: See `derivative`.
        x: Room for as many numbers.
        given: h, of the kind that is given, at the voltages' places.
        h: Receives it.
    """
    place = np.uintp(at)
    if kind == GIVEN:
        for i in range(np.uintp(len(h))):
            h[i] = given[place + i]
        return
    if scale == ONE:
        for i in range(np.uintp(len(h))):
            x[i] = v[place + i] - threshold
    else:
        for i in range(np.uintp(len(h))):
            x[i] = (v[place + i] - threshold) / scale
    derivative(kind, a, b, x, h)
    if scale != ONE:
        for i in range(len(h)):
            h[i] /= scale


@njit(nogil=True, cache=True, error_model="numpy")
def surrogate_backward(
    start: int,
    stop: int,
    g_s: Array,
    v: Array,
    threshold: np.float32,
    scale: np.float32,
    kind: int,
    a: np.float32,
    b: np.float32,
    g: Array,
) -> None:
    """Write g = g_s h, on flat arrays.

    Args:
        start: First number.
        stop: Behind the last number.
        g_s: Gradient of the spikes.
        v: See `slope`, like the next five.
        threshold: See there.
        scale: See there.
        kind: See there.
        a: See there.
        b: See there.
        g: Receives the gradient of the voltages.
    """
    x, h = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        slope(v, first, threshold, scale, kind, a, b, x[:size], g, h[:size])
        for i in range(np.uintp(size)):
            g[np.uintp(first) + i] = flush(g_s[np.uintp(first) + i] * h[i])
