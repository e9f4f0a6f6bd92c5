"""The CUBA neuron over all steps of a batch: SLAYER's integers forward, its two adjoint filters backward.

Arrays are (time, neuron). A block of neurons goes through all its steps before the next block, so that its state
stays in the cache; within a step the loops over neurons are vectorised.
"""

# ruff: noqa: PLR0912, PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

from typing import Any

import numpy as np

from pumice.jit import njit
from pumice.nn.kernels.spread import BLOCK, Array, spread

TINY = np.float32(2.0**-100)
FRACTION_BITS = 12  # of a decay
LARGEST = np.float32(2.0**63)
ALL_WHOLE = np.float32(2.0**24)  # from here on, every float32 is
NAN = np.float32(np.nan)


@njit(nogil=True, cache=True)
def _leak(state: int, keep: int) -> int:
    """The product of state and keep over 2^12, rounded toward zero."""
    product = state * keep
    return (product + ((product >> 63) & 4095)) >> FRACTION_BITS


@njit(nogil=True, cache=True)
def _integer(x: np.float32) -> Any:
    """X without its fraction; 0 for what `_lost` says has none."""
    return np.int64(x) if abs(x) < LARGEST else 0


@njit(nogil=True, cache=True)
def _lost(x: np.float32, lost: np.float32) -> np.float32:
    """NaN once something had no integer: NaN, infinity, or what 64 bits do not hold."""
    return lost if abs(x) < LARGEST else NAN


@njit(nogil=True, cache=True, inline="always")
def rounded(x: np.float32, scale: np.float32, unit: np.float32) -> Any:
    """The current that x is where nothing is kept of it, for a scale that is a power of two, and unit 1 / scale.

    Rounding it again changes nothing.
    """
    n = x * scale
    whole = np.float32(np.int32(n)) if abs(n) < ALL_WHOLE else n
    return whole * unit if abs(n) < LARGEST else NAN


@njit(nogil=True, cache=True)
def flush(g: np.float32) -> np.float32:
    """Zero where a gradient underflows: denormal numbers would slow every product down, several times."""
    return np.float32(0) if abs(g) < TINY else g  # NaN stays NaN


@njit(nogil=True, cache=True)
def integrate_forward(
    start: int, stop: int, x: Array, keep: Array, state: Array | None, scale: np.float32, y: Array, left: Array
) -> None:
    """A leaky integrator in integers: y = trunc(y * keep / 2^12) + trunc(x * scale), stored divided by `scale`.

    What has no integer, such as NaN, makes y NaN from there on.

    Args:
        start: First neuron.
        stop: Behind the last neuron.
        x: Input, float32.
        keep: 4096 - decay per channel, int64; the channel runs fastest among the neurons.
        state: y of the step before the first, float32, per neuron; None if it is 0.
        scale: Integers per unit.
        y: Output, float32.
        left: Blocks of neurons of which none is marked here are done already (`kernels.narrow`).
    """
    n, k = np.zeros(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    lost = np.empty(BLOCK, np.float32)  # NaN once an integer was
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        if not left[first : first + size].any():
            continue
        spread(keep, first, k[:size])
        n[:size], lost[:size] = 0, 0
        if state is not None:
            for i in range(size):
                n[i], lost[i] = _integer(state[first + i] * scale), _lost(state[first + i] * scale, lost[i])
        for t in range(len(x)):
            x_t, y_t = x[t, first : first + size], y[t, first : first + size]
            for i in range(size):
                n[i] = _leak(n[i], k[i]) + _integer(x_t[i] * scale)
                lost[i] = _lost(x_t[i] * scale, lost[i])
                y_t[i] = np.float32(n[i]) / scale + lost[i]


@njit(nogil=True, cache=True)
def cuba_forward(
    start: int,
    stop: int,
    x: Array,
    keep_u: Array | None,
    keep_v: Array,
    state_u: Array | None,
    state_v: Array | None,
    gain: Array | None,
    offset: Array | None,
    scale: np.float32,
    threshold: np.float32,
    resets_at: np.float32,
    graded: bool,
    u: Array | None,
    v: Array,
    s: Array,
    left: Array,
) -> None:
    """Two leaky integrators, the second with a hard reset, and spikes.

    Thresholds are compared in float32, as SLAYER does: `resets_at` with the integer voltage (infinite: no reset),
    `threshold` with the voltage in units. What has no integer, such as NaN, makes everything NaN from there on.

    Args:
        start: First neuron.
        stop: Behind the last neuron.
        x: Synaptic input, float32.
        keep_u: 4096 - current decay per channel, int64; None if x is the current already.
        keep_v: 4096 - voltage decay per channel, int64.
        state_u: Current before the first step, float32, per neuron; None if it is 0.
        state_v: Voltage before the first step, float32, per neuron; None if it is 0.
        gain: Per channel, float32, of a given current that is gain * `rounded` x + offset, the scale being a power of
            two; None if it is x.
        offset: Per channel, float32, or None.
        scale: Integers per unit.
        threshold: In units.
        resets_at: In integers.
        graded: A spike carries the voltage instead of 1.
        u: Currents, float32; None if nobody needs them.
        v: Voltages before the reset, float32.
        s: Spikes, float32.
        left: As in `integrate_forward`.
    """
    n_u, n_v = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    k_u, k_v = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    arriving, row = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.float32)
    factor, term = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    lost = np.empty(BLOCK, np.float32)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        if not left[first : first + size].any():
            continue
        spread(keep_v, first, k_v[:size])
        n_u[:size], n_v[:size], lost[:size] = 0, 0, 0
        if state_v is not None:
            for i in range(size):
                n_v[i], lost[i] = _integer(state_v[first + i] * scale), _lost(state_v[first + i] * scale, lost[i])
        if keep_u is not None:
            spread(keep_u, first, k_u[:size])
        if state_u is not None:
            for i in range(size):
                n_u[i] = _integer(state_u[first + i] * scale)
                lost[i] = _lost(state_u[first + i] * scale, lost[i])
        if gain is not None:
            spread(gain, first, factor[:size])
            spread(offset, first, term[:size])
        for t in range(len(x)):
            x_t, v_t, s_t = x[t, first : first + size], v[t, first : first + size], s[t, first : first + size]
            if gain is not None:
                for i in range(size):
                    row[i] = rounded(x_t[i], scale, np.float32(1) / scale) * factor[i] + term[i]
                x_t = row[:size]
            if keep_u is not None:
                for i in range(size):
                    n_u[i] = _leak(n_u[i], k_u[i]) + _integer(x_t[i] * scale)
                    lost[i] = _lost(x_t[i] * scale, lost[i])
                    # SLAYER hands it on in float32, which rounds beyond 2^24 or if scale is no power of two.
                    arriving[i] = np.int64(np.float32(n_u[i]) / scale * scale)
            else:
                for i in range(size):
                    arriving[i] = _integer(x_t[i] * scale)
                    lost[i] = _lost(x_t[i] * scale, lost[i])
            for i in range(size):
                voltage = _leak(n_v[i], k_v[i]) + arriving[i]
                v_t[i] = np.float32(voltage) / scale + lost[i]
                s_t[i] = np.float32(v_t[i] >= threshold) + lost[i]
                n_v[i] = 0 if np.float32(voltage) >= resets_at else voltage
            if graded:
                for i in range(size):
                    s_t[i] *= v_t[i]
            if u is not None:
                u_t = u[t, first : first + size]
                for i in range(size):
                    u_t[i] = np.float32(n_u[i]) / scale + lost[i]


@njit(nogil=True, cache=True)
def integrate_backward(start: int, stop: int, g: Array, keep: Array, y: Array | None, g_decay: Array | None) -> None:
    """Adjoint of a leaky integrator, in place; reset and rounding are ignored, as SLAYER does.

    Args:
        start: First neuron.
        stop: Behind the last neuron.
        g: Gradient of the output, becomes that of the input, float32.
        keep: 1 - decay / 4096 per channel, float32.
        y: What the integrator gave; None if the decay does not learn, like the next.
        g_decay: Receives sum_t g[t] y[t-1] per neuron, float64; SLAYER's gradient of the decay.
    """
    k = np.empty(BLOCK, np.float32)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        spread(keep, first, k[:size])
        for t in range(len(g) - 2, -1, -1):
            g_t, later = g[t, first : first + size], g[t + 1, first : first + size]
            for i in range(size):
                g_t[i] = flush(k[i] * later[i] + g_t[i])
            if y is not None and g_decay is not None:
                y_t, sums = y[t, first : first + size], g_decay[first : first + size]
                for i in range(size):
                    sums[i] += np.float64(later[i]) * y_t[i]


@njit(nogil=True, cache=True)
def cuba_backward(start: int, stop: int, g: Array, keep_u: Array, keep_v: Array) -> None:
    """`integrate_backward` for voltage and current in one pass, for decays that do not learn.

    Args:
        start: First neuron.
        stop: Behind the last neuron.
        g: Gradient of the voltage, becomes that of the synaptic input, float32.
        keep_u: 1 - decay / 4096 of the current per channel, float32.
        keep_v: The same of the voltage.
    """
    g_u, g_v = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    k_u, k_v = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        spread(keep_u, first, k_u[:size])
        spread(keep_v, first, k_v[:size])
        g_u[:], g_v[:] = 0, 0
        for t in range(len(g) - 1, -1, -1):
            g_t = g[t, first : first + size]
            for i in range(size):
                g_v[i] = flush(k_v[i] * g_v[i] + g_t[i])
                g_u[i] = flush(k_u[i] * g_u[i] + g_v[i])
                g_t[i] = g_u[i]
