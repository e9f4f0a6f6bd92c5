"""`fixedpoint.cuba_step`, for blocks of neurons over many steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from pumice.backends.fast.kernels.copying import copy
from pumice.jit import njit

Array = np.ndarray[Any, Any]

BLOCK = 2048
"""Neurons whose states stay in the first-level cache while the steps go by."""
_LIMIT = 1 << 23


@njit(nogil=True, cache=True, inline="always")
def _decay(x: Any, keep: Any) -> Any:
    """sign(x) * (|x| * keep >> 12), in 32 bits: |x| = a * 4096 + b gives a * keep + (b * keep >> 12).

    keep <= 4096, so the first product is below 2^32 and the second below 2^25: none is cut off. Without branches
    and 64-bit products, so that it compiles to vector instructions.
    """
    sign = np.int32(x >> np.int32(31))
    size = np.uint32(np.int32(np.int32(x ^ sign) - sign))
    a = np.uint32(size >> np.uint32(12))
    b = np.uint32(size & np.uint32(4095))
    kept = np.int32(np.uint32(a * keep + np.uint32(np.uint32(b * keep) >> np.uint32(12))))
    return np.int32(np.int32(kept ^ sign) - sign)


@njit(nogil=True, cache=True, inline="always")
def _wrap(raw: Any) -> Any:
    """Into (-2^23, 2^23], by one turn at most."""
    limit, turn = np.int32(_LIMIT), np.int32(2 * _LIMIT)
    low = np.int32(raw - turn) if raw > limit else raw
    return np.int32(raw + turn) if low <= -limit else low


@njit(nogil=True, cache=True, inline="always")
def _voltage(v: Any, keep: Any, arriving: Any) -> Any:
    """Before the reset, clipped."""
    voltage = np.int32(_decay(v, keep) + arriving)
    return np.int32(min(max(voltage, np.int32(1 - _LIMIT)), np.int32(_LIMIT - 1)))


@njit(nogil=True, cache=True)
def _step(
    activation: Array,
    spikes: Array,
    u: Array,
    v: Array,
    keep_u: Array,
    keep_v: Array,
    bias: Array,
    threshold: Any,
) -> None:
    for n in range(u.size):
        current = _wrap(np.int32(_decay(u[n], keep_u[n]) + np.int32(activation[n] << np.int32(6))))
        u[n] = current
        voltage = _voltage(v[n], keep_v[n], np.int32(current + bias[n]))
        spike = voltage > threshold
        spikes[n] = np.int8(spike)
        v[n] = np.int32(0) if spike else voltage


@njit(nogil=True, cache=True)
def _currents(activation: Array, u: Array) -> None:
    """The current that keeps nothing of the step before."""
    for n in range(u.size):
        u[n] = _wrap(np.int32(activation[n] << np.int32(6)))


@njit(nogil=True, cache=True)
def _step_of_voltage(activation: Array, spikes: Array, v: Array, keep_v: Array, bias: Array, threshold: Any) -> None:
    """As `_step` where the current keeps nothing: it need not be stored."""
    for n in range(v.size):
        current = _wrap(np.int32(activation[n] << np.int32(6)))
        voltage = _voltage(v[n], keep_v[n], np.int32(current + bias[n]))
        spike = voltage > threshold
        spikes[n] = np.int8(spike)
        v[n] = np.int32(0) if spike else voltage


@njit(nogil=True, cache=True, inline="always")
def _block(parameter: Array, start: Any, end: Any, n: Any) -> Any:
    return parameter[start:end] if parameter.size == n else parameter[: end - start]


@njit(nogil=True, cache=True)
def cuba_steps(
    activation: Array,
    sent: Array,
    states: tuple[Array, ...],
    parameters: tuple[Array, ...],
    threshold: Any,
    clears: Array,
    traces: tuple[Array, ...] | None,
) -> None:
    """Advance neurons over some steps.

    Args:
        activation: Shape (steps, batch, n), int32.
        sent: Shape (steps, batch, at least n), int8: spikes; or int32: the voltage (with a threshold
            out of reach).
        states: u and v, shape (batch, n), int32; changed. Where u keeps nothing and nothing is recorded, it is left.
        parameters: 4096 - decay of u and of v (uint32), and the bias (int32), shape (n,); or (`BLOCK`,) where it is
            the same everywhere. That of u is empty where it is 0 everywhere.
        threshold: A voltage above it fires.
        clears: For each step, whether u and v become 0 before it.
        traces: u and v after each step, shape (steps, batch, n), written; or None: then what writes them
            is not even compiled.
    """
    u, v = states
    keep_u, keep_v, bias = parameters
    sends_voltage = sent.itemsize > 1
    n_all = u.shape[1]
    for b in range(u.shape[0]):
        for start in range(0, n_all, BLOCK):
            end = min(start + BLOCK, n_all)
            block_u, block_v = u[b, start:end], v[b, start:end]
            block_keep_u, block_keep_v = _block(keep_u, start, end, n_all), _block(keep_v, start, end, n_all)
            block_bias = _block(bias, start, end, n_all)
            for t in range(len(activation)):
                if clears[t]:
                    block_u[:] = 0
                    block_v[:] = 0
                out, block_a = sent[t, b, start:end], activation[t, b, start:end]
                if keep_u.size > 0:
                    _step(block_a, out, block_u, block_v, block_keep_u, block_keep_v, block_bias, threshold)
                else:
                    _step_of_voltage(block_a, out, block_v, block_keep_v, block_bias, threshold)
                    if traces is not None:
                        _currents(block_a, block_u)
                if sends_voltage:
                    copy(block_v, out)
                if traces is not None:
                    copy(block_u, traces[0][t, b, start:end])
                    copy(block_v, traces[1][t, b, start:end])
