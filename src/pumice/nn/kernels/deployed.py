"""The deployed CUBA neuron over all steps of a batch: the chip's integers, in float64 as in their definition.

`pumice.nn.neurons.integer` holds the definition, with which every bit agrees, for any input: integers up to 2^53
are exact, and float64 products are vectorised where those of 64-bit integers are slow. Arrays and blocks as in
`kernels.cuba`.
"""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

import numpy as np

from pumice.jit import njit
from pumice.nn.kernels.cuba import flush
from pumice.nn.kernels.spread import BLOCK, Array, spread

STATE_LIMIT = float(1 << 23)
INT32_SPAN = float(1 << 32)


@njit(nogil=True, cache=True)
def _wrap_int32(x: float) -> float:
    return x - INT32_SPAN * np.floor((x + INT32_SPAN / 2) / INT32_SPAN)


@njit(nogil=True, cache=True)
def _wrap24(x: float) -> float:
    x = x - 2 * STATE_LIMIT if x > STATE_LIMIT else x
    return x + 2 * STATE_LIMIT if x <= -STATE_LIMIT else x


@njit(nogil=True, cache=True)
def _clip24(x: float) -> float:
    x = STATE_LIMIT - 1 if x > STATE_LIMIT - 1 else x
    return 1 - STATE_LIMIT if x < 1 - STATE_LIMIT else x


@njit(nogil=True, cache=True)
def deployed_forward(
    start: int,
    stop: int,
    x: Array,
    bias: Array,
    keep_u: Array,
    keep_v: Array,
    state_u: Array,
    state_v: Array,
    vth_mant: float,
    v: Array,
    s: Array,
) -> None:
    """A current that wraps, a voltage that clips and is reset, and spikes.

    Args:
        start: First neuron.
        stop: Behind the last neuron.
        x: Synaptic sums, float32.
        bias: Mantissa per channel, float64; the channel runs fastest among the neurons. One for all, or one each.
        keep_u: 1 - decay / 4096 of the current per channel, float64.
        keep_v: The same of the voltage.
        state_u: Integer current before the first step per neuron, float64; becomes that of the last step.
        state_v: Integer voltage before the first step; becomes that behind the last step's reset.
        vth_mant: Threshold.
        v: Receives voltages before the reset over 2^6, float32; empty if nobody needs them.
        s: Receives spikes, float32.
    """
    b = np.empty(BLOCK, np.float64)
    k_u, k_v = np.empty(BLOCK, np.float64), np.empty(BLOCK, np.float64)
    voltage = np.empty(BLOCK, np.float64)
    threshold = vth_mant * 64.0
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        spread(bias, first, b[:size])
        spread(keep_u, first, k_u[:size])
        spread(keep_v, first, k_v[:size])
        n_u, n_v = state_u[first : first + size], state_v[first : first + size]
        for t in range(len(x)):
            x_t, s_t = x[t, first : first + size], s[t, first : first + size]
            for i in range(size):
                n_u[i] = _wrap24(_wrap_int32(np.trunc(n_u[i] * k_u[i]) + np.float64(x_t[i]) * 64.0))
                voltage[i] = _clip24(_wrap_int32(np.trunc(n_v[i] * k_v[i]) + (n_u[i] + b[i] * 64.0)))
            for i in range(size):
                fires = voltage[i] > threshold
                s_t[i] = np.float32(fires) + np.float32(voltage[i] - voltage[i])  # NaN stays NaN
                n_v[i] = 0.0 if fires else voltage[i]
            if v.size:
                v_t = v[t, first : first + size]
                for i in range(size):
                    v_t[i] = np.float32(voltage[i] / 64.0)


@njit(nogil=True, cache=True)
def deployed_backward(start: int, stop: int, g: Array, keep_u: Array, keep_v: Array, sums: Array) -> None:
    """Adjoint of both filters, without rounding, wrap, clip and reset, in place.

    Args:
        start: First neuron.
        stop: Behind the last neuron.
        g: Gradient of the voltage, becomes that of the synaptic sums, float32.
        keep_u: 1 - decay / 4096 of the current per channel, float32.
        keep_v: The same of the voltage.
        sums: Receives the gradient of a bias per neuron, float64.
    """
    g_u, g_v = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    k_u, k_v = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    total = np.empty(BLOCK, np.float64)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        spread(keep_u, first, k_u[:size])
        spread(keep_v, first, k_v[:size])
        g_u[:], g_v[:], total[:] = 0, 0, 0
        for t in range(len(g) - 1, -1, -1):
            g_t = g[t, first : first + size]
            for i in range(size):
                g_v[i] = flush(k_v[i] * g_v[i] + g_t[i])
                g_u[i] = flush(k_u[i] * g_u[i] + g_v[i])
                g_t[i] = g_u[i]
                total[i] += g_v[i]
        for i in range(size):  # numba takes seconds to compile the assignment of a slice
            sums[first + i] = total[i]
