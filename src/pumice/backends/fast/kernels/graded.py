"""`fixedpoint.sigma_step`, `delta_step` and `resonator_step`, over many steps.

Common arguments: `activation` (steps, batch, n) comes in, `sent` (steps, batch, at least n) goes out;
`states` are (batch, n) each and change; `traces` are (steps, batch, n) each and hold them after every step, or are
empty.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pumice.backends.fast.kernels.copying import copy
from pumice.jit import njit

Array = np.ndarray[Any, Any]

_LIMIT = 1 << 23
_LOWEST = -(1 << 31)


@njit(nogil=True, cache=True)
def sigma_steps(activation: Array, sent: Array, sigma: Array, trace: Array) -> None:
    """Sum up changes, modulo 2^32, and send the sum."""
    for b in range(sigma.shape[0]):
        for t in range(len(sent)):
            for n in range(sigma.shape[1]):
                sigma[b, n] += activation[t, b, n]
                sent[t, b, n] = sigma[b, n]
            if trace.size:
                copy(sigma[b], trace[t, b])


@njit(nogil=True, cache=True)
def delta_steps(
    activation: Array,
    sent: Array,
    flags: tuple[bool, bool, bool],
    bias: Array,
    shifts: tuple[int, ...],
    vth: int,
    states: tuple[Array, ...],
    traces: tuple[Array, ...],
) -> None:
    """Send the change of a value once it is large enough.

    The flags are `sums`, `relu` and `cum_error`, the shifts those of what comes in and of what goes out. The value
    is the activation shifted left; or, with `sums`, the sum of all activations (the first state) plus `bias`,
    rectified with `relu`.
    """
    sums, relu, cum_error = flags
    shift, state_exp = shifts
    sigma, act, residue, error = states
    trace_sigma, trace_act, trace_residue, trace_error = traces
    for b in range(act.shape[0]):
        for t in range(len(sent)):
            for n in range(act.shape[1]):
                if sums:
                    sigma[b, n] += activation[t, b, n]
                    value = np.int32(np.int64(sigma[b, n]) + bias[n])
                    value = max(value, np.int32(0)) if relu else value
                else:
                    value = np.int32(np.int64(activation[t, b, n]) << shift)
                change = np.int32(np.int64(value) - act[b, n] + residue[b, n])
                if cum_error:
                    error[b, n] = np.int32(np.int64(error[b, n]) + change)
                compared = error[b, n] if cum_error else change
                size = compared if compared >= 0 else np.int32(-np.int64(compared))  # -2^31 stays as it is
                message = change if size >= vth else np.int32(0)
                if cum_error and message not in (0, _LOWEST):  # as Lava does
                    error[b, n] = 0
                act[b, n] = value
                residue[b, n] = np.int32(np.int64(change) - message)
                sent[t, b, n] = message >> state_exp
            if trace_act.size:
                if sums:
                    copy(sigma[b], trace_sigma[t, b])
                copy(act[b], trace_act[t, b])
                copy(residue[b], trace_residue[t, b])
                copy(error[b], trace_error[t, b])


@njit(nogil=True, cache=True)
def _scaled(factor: Any, part: Any, bits: int) -> Any:
    product = np.int64(factor) * np.int64(part)
    return product >> bits if product >= 0 else -(-product >> bits)


@njit(nogil=True, cache=True)
def _clipped(x: Any) -> Any:
    return min(max(x, 1 - _LIMIT), _LIMIT - 1)


@njit(nogil=True, cache=True)
def resonator_steps(
    activation: tuple[Array, ...],
    sent: Array,
    decays: tuple[Array, ...],
    vth: int,
    shifts: tuple[int, ...],
    izhikevich: bool,
    states: tuple[Array, ...],
    traces: tuple[Array, ...],
) -> None:
    """Rotate and shrink the state, add the input, and fire.

    `activation` and `states` are the real and the imaginary parts, `decays` those of sine and cosine, `shifts` are
    `state_exp` and `decay_bits`.
    """
    activation_real, activation_imag = activation
    state_exp, decay_bits = shifts
    sin, cos = decays
    real, imag = states
    trace_real, trace_imag = traces
    for b in range(real.shape[0]):
        for t in range(len(sent)):
            for n in range(real.shape[1]):
                old_real, old_imag = real[b, n], imag[b, n]
                in_real = np.int32(np.int64(activation_real[t, b, n]) << state_exp)
                in_imag = np.int32(np.int64(activation_imag[t, b, n]) << state_exp)
                x = _scaled(cos[n], old_real, decay_bits) - _scaled(sin[n], old_imag, decay_bits) + in_real
                y = _scaled(sin[n], old_real, decay_bits) + _scaled(cos[n], old_imag, decay_bits) + in_imag
                x = _clipped(x)
                y = _clipped(y)
                if izhikevich:
                    spike = y >= vth
                    if spike:
                        x, y = np.int64(0), np.int64(vth - 1)
                else:
                    spike = x >= vth and y >= 0 and old_imag < 0
                real[b, n] = x
                imag[b, n] = y
                sent[t, b, n] = spike
            if trace_real.size:
                copy(real[b], trace_real[t, b])
                copy(imag[b], trace_imag[t, b])
