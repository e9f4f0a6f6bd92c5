"""Delays of whole steps per channel, over all steps of a batch.

Arrays are (time, neuron). A block of neurons is copied into memory of its own first: whole steps of an array lie
apart by powers of two, of which the cache holds few at once.
"""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

import numpy as np

from pumice.jit import njit
from pumice.nn.kernels.spread import BLOCK, Array, spread

REGISTER = 64
"""Bits of a shift register, one for each step back from the present."""
ONE = np.uint32(0x3F800000)
"""The bits of 1.0."""


@njit(nogil=True, cache=True)
def delay_forward(start: int, stop: int, x: Array, steps: Array, lost: Array, y: Array) -> None:
    """Write y[t] = x[t - steps], 0 where that is before the first step.

    Args:
        start: First neuron.
        stop: Behind the last neuron.
        x: Input, float32.
        steps: Per channel, int64, 0 or more; the channel runs fastest among the neurons.
        lost: Per channel, float32, added to every y: 0, or NaN where the delay is no number.
        y: Output, float32.
    """
    n_steps, longest = len(x), steps.max()
    x_, y_ = x.reshape(-1), y.reshape(-1)  # flat, and unsigned indices, as in `narrow`
    delay, lost_ = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.float32)
    offset, held = np.empty(BLOCK, np.uintp), np.empty(0, np.float32)
    for first in range(start, stop, BLOCK):
        size = np.uintp(min(BLOCK, stop - first))
        spread(steps, first, delay[:size])
        spread(lost, first, lost_[:size])
        if longest < REGISTER and _delay_spikes(first, x, delay[:size], lost_[:size], y):
            continue
        if len(held) == 0:
            held = np.zeros((longest + n_steps) * BLOCK, np.float32)
        for i in range(size):
            offset[i] = np.uintp(longest - delay[i]) * np.uintp(BLOCK) + i
        for t in range(n_steps):
            at, row = np.uintp(t * x.shape[1] + first), np.uintp((longest + t) * BLOCK)
            for i in range(size):
                held[row + i] = x_[at + i]
        for t in range(n_steps):
            at, row = np.uintp(t * x.shape[1] + first), np.uintp(t * BLOCK)
            for i in range(size):
                y_[at + i] = held[row + offset[i]] + lost_[i]


@njit(nogil=True, cache=True)
def _delay_spikes(first: int, x: Array, delay: Array, lost: Array, y: Array) -> bool:
    """`delay_forward` of a block of spikes, each neuron's in a shift register; False if some are not 0 or 1."""
    x_, y_ = x.view(np.uint32).reshape(-1), y.reshape(-1)
    register, shift = np.zeros(BLOCK, np.uint64), np.empty(BLOCK, np.uint64)
    others = np.zeros(BLOCK, np.uint32)
    for i in range(len(delay)):
        shift[i] = np.uint64(delay[i])
    for t in range(len(x)):
        at = np.uintp(t * x.shape[1] + first)
        for i in range(np.uintp(len(delay))):
            register[i] = (register[i] << np.uint64(1)) | np.uint64(x_[at + i] != 0)
            others[i] |= np.uint32((x_[at + i] != 0) & (x_[at + i] != ONE))
            y_[at + i] = np.float32(np.int32((register[i] >> shift[i]) & np.uint64(1))) + lost[i]
        if t % 32 == 31 and others.any():  # early, as behind dropout, which scales spikes
            return False
    return not others.any()


@njit(nogil=True, cache=True)
def delay_backward(
    start: int, stop: int, g: Array, y: Array, steps: Array, lost: Array, g_x: Array, g_steps: Array
) -> None:
    """The adjoint, g_x[t] = g[t + steps], and the slope in time that teaches the delays.

    Args:
        start: First neuron.
        stop: Behind the last neuron.
        g: Gradient of y, float32.
        y: As `delay_forward` wrote it.
        steps: As there.
        lost: As there.
        g_x: Receives the gradient of x.
        g_steps: Receives sum_t (g[t + 1] - g[t]) y[t] per neuron, float32, with g = 0 behind the last step.
    """
    n_steps, longest = len(g), steps.max()
    held = np.zeros((n_steps + longest) * BLOCK, np.float32)
    x_ = g_x.reshape(-1)
    delay, offset = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.uintp)
    lost_, later = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        spread(steps, first, delay[:size])
        spread(lost, first, lost_[:size])
        sums = g_steps[first : first + size]
        for i in range(size):
            offset[i] = np.uintp(delay[i] * BLOCK + i)
            sums[i] = 0
        later[:] = 0
        for t in range(n_steps - 1, -1, -1):
            g_t, y_t, row = g[t, first : first + size], y[t, first : first + size], held[t * BLOCK :]
            for i in range(size):
                sums[i] += (later[i] - g_t[i]) * y_t[i]
                row[i] = later[i] = g_t[i]
        for t in range(n_steps):
            at, begin = np.uintp(t * g.shape[1] + first), np.uintp(t * BLOCK)
            for i in range(np.uintp(size)):
                x_[at + i] = held[begin + offset[i]] + lost_[i]
