"""`fixedpoint.cuba_step`, for blocks of neurons over many steps."""

from __future__ import annotations

from typing import Any

import numpy as np

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
    lowest, highest = np.int32(1 - _LIMIT), np.int32(_LIMIT - 1)  # `min` and `max` would be compiled, each
    voltage = lowest if voltage < lowest else voltage
    return highest if voltage > highest else voltage


@njit(nogil=True, cache=True)
def _step(
    activation: Array,
    spikes: Array,
    u: Array,
    v: Array,
    keep_u: Array | None,
    keep_v: Array,
    bias: Array,
    threshold: Any,
    start: Any,
    stop: Any,
    records: Any,
) -> None:
    """Neurons start to stop - 1 of a sample; unsigned, as signed indices are tested for counting from the end."""
    # A parameter that is not there for each neuron is the same everywhere, and there for `BLOCK` of them.
    first_v = start if keep_v.size == u.size else np.uintp(0)
    first_bias = start if bias.size == u.size else np.uintp(0)
    for i in range(np.uintp(stop - start)):
        n = start + i
        current = np.int32(activation[n] << np.int32(6))
        if keep_u is None:
            current = _wrap(current)
            if records:
                u[n] = current
        else:
            first_u = start if keep_u.size == u.size else np.uintp(0)
            current = _wrap(np.int32(_decay(u[n], keep_u[first_u + i]) + current))
            u[n] = current
        voltage = _voltage(v[n], keep_v[first_v + i], np.int32(current + bias[first_bias + i]))
        spike = voltage > threshold
        spikes[n] = np.int8(spike)
        v[n] = np.int32(0) if spike else voltage


@njit(nogil=True, cache=True)
def _steps(
    activation: Array,
    sent: Array,
    u: Array,
    v: Array,
    keep_u: Array | None,
    keep_v: Array,
    bias: Array,
    threshold: Any,
    clears: Array,
    trace_u: Array | None,
    trace_v: Array | None,
) -> None:
    n_all = u.shape[1]
    for b in range(u.shape[0]):
        sample_u, sample_v = u[b], v[b]
        for start in range(0, n_all, BLOCK):
            stop = start + BLOCK if start + BLOCK < n_all else n_all
            for t in range(activation.shape[0]):
                if clears[t]:
                    for n in range(start, stop):
                        sample_u[n] = 0
                        sample_v[n] = 0
                leaves = sent[t, b]
                _step(
                    activation[t, b],
                    leaves,
                    sample_u,
                    sample_v,
                    keep_u,
                    keep_v,
                    bias,
                    threshold,
                    np.uintp(start),
                    np.uintp(stop),
                    trace_u is not None,
                )
                if sent.itemsize > 1:
                    for n in range(start, stop):
                        leaves[n] = sample_v[n]
                if trace_u is not None and trace_v is not None:
                    for n in range(start, stop):
                        trace_u[t, b, n] = sample_u[n]
                        trace_v[t, b, n] = sample_v[n]


def cuba_steps(
    activation: Array,
    sent: Array,
    states: tuple[Array, ...],
    parameters: tuple[Array | None, Array, Array],
    threshold: Any,
    clears: Array,
    traces: tuple[Array, ...] | None,
) -> None:
    """Advance neurons over some steps; what is None is not even compiled.

    Args:
        activation: Shape (steps, batch, n), int16 or int32.
        sent: Shape (steps, batch, at least n), int8: spikes; or int32: the voltage (with a threshold
            out of reach).
        states: u and v, shape (batch, n), int32; changed. Where u keeps nothing and nothing is recorded, it is left.
        parameters: 4096 - decay of u and of v (uint32), and the bias (int32), shape (n,); or (`BLOCK`,) where it is
            the same everywhere. That of u is None where it is 0 everywhere.
        threshold: A voltage above it fires.
        clears: For each step, whether u and v become 0 before it.
        traces: u and v after each step, shape (steps, batch, n), written; or None.
    """
    _steps(activation, sent, *states, *parameters, threshold, clears, *(traces or (None, None)))
