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
WORD = 32
"""Steps of a neuron's spikes that are remembered in one word, the first in the highest bit."""
ONE = np.uint32(0x3F800000)
"""The bits of 1.0."""
ROW = BLOCK + 16
"""Numbers from one step of a block's copy to the next: no power of two, either."""
AT_ONCE = 256
"""Neurons of which the cache holds as many steps as delays are long."""


@njit(nogil=True, cache=True)
def delay_forward(start: int, stop: int, x: Array, steps: Array, y: Array, words: Array) -> None:
    """Write y[t] = x[t - steps], 0 where that is before the first step.

    Args:
        start: First neuron.
        stop: Behind the last neuron.
        x: Input, float32.
        steps: Per channel, int64, 0 or more; the channel runs fastest among the neurons.
        y: Output, float32.
        words: Receives the spikes of x for `delay_backward`, uint32, from the second row on; the first is not 0 where
            x are other numbers.
    """
    n_steps, longest = len(x), steps.max()
    delay, held = np.empty(BLOCK, np.int64), np.empty(0, np.float32)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        spread(steps, first, delay[:size])
        is_spikes = longest < REGISTER and _delay_spikes(first, x, delay[:size], y, words[1:])
        words[0, first : first + size] = not is_spikes
        if not is_spikes:
            if len(held) == 0:
                held = np.empty((longest + n_steps) * ROW, np.float32)
            held[: longest * ROW] = 0
            _load(x, first, size, held[longest * ROW :])
            _advance(held, longest - delay[:size], n_steps)
            _store(held, y, first, size)


@njit(nogil=True, cache=True)
def _delay_spikes(first: int, x: Array, delay: Array, y: Array, words: Array) -> bool:
    """`delay_forward` of a block of spikes, each neuron's in a shift register; False if some are not 0 or 1."""
    x_, y_ = x.view(np.uint32).reshape(-1), y.view(np.uint32).reshape(-1)
    register, shift = np.zeros(BLOCK, np.uint64), np.empty(BLOCK, np.uint64)
    others = np.uint32(0)
    for i in range(len(delay)):
        shift[i] = np.uint64(delay[i])
    for t in range(len(x)):
        at = np.uintp(t * x.shape[1] + first)
        for i in range(np.uintp(len(delay))):
            others |= x_[at + i] if x_[at + i] != ONE else np.uint32(0)
            register[i] = (register[i] << np.uint64(1)) | np.uint64(x_[at + i] != 0)
            y_[at + i] = ONE if (register[i] >> shift[i]) & np.uint64(1) else np.uint32(0)
        if t % WORD == WORD - 1 or t == len(x) - 1:
            if others != 0:  # early, as behind dropout, which scales spikes
                return False
            for i in range(len(delay)):
                words[t // WORD, first + i] = np.uint32(register[i] << np.uint64(WORD - 1 - t % WORD))
    return True


@njit(nogil=True, cache=True)
def delay_backward(
    start: int, stop: int, g: Array, y: Array, words: Array, steps: Array, g_x: Array, g_steps: Array
) -> None:
    """The adjoint, g_x[t] = g[t + steps], and the slope in time that teaches the delays.

    Args:
        start: First neuron.
        stop: Behind the last neuron.
        g: Gradient of y, float32.
        y: As `delay_forward` wrote it, like the next.
        words: See there.
        steps: As there.
        g_x: Receives the gradient of x.
        g_steps: Receives sum_t (g[t + 1] - g[t]) y[t] = sum_t (g_x[t + 1] - g_x[t]) x[t] per neuron, float32, with
            g = 0 behind the last step.
    """
    n_steps, longest = len(g), steps.max()
    held = np.zeros((n_steps + longest + 1) * ROW, np.float32)
    delay = np.empty(BLOCK, np.int64)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        sums, is_spikes = g_steps[first : first + size], not words[0, first : first + size].any()
        spread(steps, first, delay[:size])
        sums[:] = 0
        _load(g, first, size, held)
        if not is_spikes:
            _add_slopes(held, y, first, sums)
        _advance(held, delay[:size], n_steps)
        _store(held, g_x, first, size)
        if is_spikes:
            _add_slopes_at_spikes(held, words[1:], first, n_steps, sums)


@njit(nogil=True, cache=True)
def _load(x: Array, first: int, size: int, held: Array) -> None:
    x_ = x.reshape(-1)  # flat, and unsigned indices, as in `narrow`
    for t in range(len(x)):
        at, row = np.uintp(t * x.shape[1] + first), np.uintp(t * ROW)
        for i in range(np.uintp(size)):
            held[row + i] = x_[at + i]


@njit(nogil=True, cache=True)
def _store(held: Array, y: Array, first: int, size: int) -> None:
    y_ = y.reshape(-1)
    for t in range(len(y)):
        at, row = np.uintp(t * y.shape[1] + first), np.uintp(t * ROW)
        for i in range(np.uintp(size)):
            y_[at + i] = held[row + i]


@njit(nogil=True, cache=True)
def _advance(held: Array, by: Array, n_steps: int) -> None:
    """Move each neuron's numbers so many steps to the front, in place."""
    offset = np.empty(BLOCK, np.uintp)
    for i in range(len(by)):
        offset[i] = np.uintp(by[i] * ROW + i)
    for first in range(0, len(by), AT_ONCE):
        begin, end = np.uintp(first), np.uintp(min(first + AT_ONCE, len(by)))
        for t in range(n_steps):
            row = np.uintp(t * ROW)
            for i in range(begin, end):
                held[row + i] = held[row + offset[i]]


@njit(nogil=True, cache=True)
def _add_slopes(held: Array, y: Array, first: int, sums: Array) -> None:
    """Add (held[t + 1] - held[t]) y[t] for each step."""
    y_ = y.reshape(-1)
    for t in range(len(y)):
        at, row, later = np.uintp(t * y.shape[1] + first), np.uintp(t * ROW), np.uintp((t + 1) * ROW)
        for i in range(np.uintp(len(sums))):
            sums[i] += (held[later + i] - held[row + i]) * y_[at + i]


@njit(nogil=True, cache=True)
def _add_slopes_at_spikes(held: Array, words: Array, first: int, n_steps: int, sums: Array) -> None:
    """Add held[t + 1] - held[t] for each step with a spike."""
    words_ = words.reshape(-1)
    for t in range(n_steps):
        at, row, later = np.uintp(t // WORD * words.shape[1] + first), np.uintp(t * ROW), np.uintp((t + 1) * ROW)
        bit = np.uint32(1) << np.uint32(WORD - 1 - t % WORD)
        for i in range(np.uintp(len(sums))):
            sums[i] += (held[later + i] - held[row + i]) if words_[at + i] & bit else np.float32(0)
