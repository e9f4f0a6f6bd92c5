"""Credit of presynaptic spikes at a neuron's own spikes (HM2-BP), over all steps of a batch, and who spiked at all.

Arrays are (time, neuron), in blocks as in `cuba`.
"""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

import numpy as np

from pumice.jit import njit
from pumice.nn.kernels.cuba import flush
from pumice.nn.kernels.spread import BLOCK, Array

ALL_BUT_SIGN = np.int32(0x7FFFFFFF)


@njit(nogil=True, cache=True)
def credit(
    start: int,
    stop: int,
    s: Array,
    g: Array,
    z: Array,
    keep_u: np.float32,
    keep_v: np.float32,
    gain: np.float32,
    per_step: Array,
    count: Array,
    error: Array,
    potential: Array,
) -> None:
    """As `pumice.nn.neurons.psp.credit`, in one pass from the last step to the first.

    Args:
        start: First neuron.
        stop: Behind the last neuron.
        s: Spikes, 0 or 1, float32.
        g: Gradient of the spikes, float32.
        z: What the neurons received, float32.
        keep_u: What a step leaves of the current.
        keep_v: What a step leaves of the voltage.
        gain: Of the kernel.
        per_step: Receives the credit of each step.
        count: Receives the spikes of each neuron.
        error: Receives the mean gradient at its spikes; of a silent neuron, that over all steps.
        potential: Receives the sum of credit times input.
    """
    steps, one = len(s), np.float32(1)
    to_next, later = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    voltage, arriving = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    fired, at_spikes = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    everywhere, total = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        for state in (to_next, later, voltage, arriving, fired, at_spikes, everywhere, total):
            state[:size] = 0
        for t in range(steps - 1, -1, -1):
            s_t, g_t, z_t = s[t, first : first + size], g[t, first : first + size], z[t, first : first + size]
            out = per_step[t, first : first + size]
            for i in range(size):
                to_next[i] = flush(keep_v * (later[i] + (one - later[i]) * to_next[i]))
                voltage[i] = flush(keep_v * voltage[i] + s_t[i] * (one - to_next[i]))
                arriving[i] = flush(keep_u * arriving[i] + voltage[i])
                later[i] = s_t[i]
                out[i] = gain * arriving[i]
                total[i] += out[i] * z_t[i]
                fired[i] += s_t[i]
                at_spikes[i] += s_t[i] * g_t[i]
                everywhere[i] += g_t[i]
        for i in range(size):
            count[first + i], potential[first + i] = fired[i], total[i]
            error[first + i] = at_spikes[i] / fired[i] if fired[i] > 0 else everywhere[i] / np.float32(steps)


@njit(nogil=True, cache=True)
def any_step(start: int, stop: int, bits: Array, steps: int, by_step: bool, found: Array) -> None:
    """Write 1 for each neuron that is not zero at every step, else 0.

    Args:
        start: First neuron.
        stop: Behind the last neuron.
        bits: Of float32 numbers, as int32, in one row: the neurons of a step, or the steps of a neuron, together.
        steps: Number of steps.
        by_step: Which of the two.
        found: Per neuron, float32.
    """
    seen = np.empty(BLOCK, np.int32)
    for first in range(start, stop, BLOCK):
        n = min(BLOCK, stop - first)
        seen[:n] = 0
        for t in range(steps if by_step else 0):
            of_step = bits[t * len(found) + first : t * len(found) + first + n]
            for i in range(n):
                seen[i] |= of_step[i]
        for i in range(0 if by_step else n):
            of_neuron, any_bit = bits[(first + i) * steps : (first + i + 1) * steps], np.int32(0)
            for t in range(steps):
                any_bit |= of_neuron[t]
            seen[i] = any_bit
        for i in range(n):
            found[first + i] = np.float32(seen[i] & ALL_BUT_SIGN != 0)
