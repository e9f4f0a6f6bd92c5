"""The CUBA neuron's forward loops in 32-bit integers, which fill vector registers; 64-bit ones do not.

Every bit is that of `kernels.cuba`, in 64 bits, if integers per unit are a power of two, so that scaling does not
round; currents and thresholds stay below 2^24, so that they are float32 exactly; and voltages below 2^30, so that no
sum wraps.
"""

# ruff: noqa: PLR0912, PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

import platform
from typing import Any

import numpy as np

from pumice.jit import njit
from pumice.nn.kernels.cuba import rounded
from pumice.nn.kernels.spread import BLOCK, Array, spread

EXACT = 1 << 24
BEYOND_CURRENT = np.int32(0x7FFFFFFF & -EXACT)  # bits that only numbers of at least 2^24 have
BEYOND_VOLTAGE = np.int32(1 << 30)
KEPT, WIDE, CURRENT, CURRENT_KEPT = (np.uintp(n * BLOCK) for n in range(1, 5))  # rows behind the integers
NAN_IS_WIDE = platform.machine().lower() in {"x86_64", "amd64"}
"""Whether the processor makes the smallest int32 of NaN, as of what is out of range; others make 0."""


@njit(nogil=True, cache=True, inline="always")
def _leak(n: Any, keep: Any) -> Any:
    """The product of n and keep over 2^12, rounded toward zero; in two parts, so that neither leaves 32 bits.

    `keep` is below 0 where a decay drawn around 1 is above it.
    """
    low = np.int32((n & np.int32(4095)) * keep) + (((n ^ keep) >> np.int32(31)) & np.int32(4095))
    return np.int32(np.int32((n >> np.int32(12)) * keep) + (np.int32(low) >> np.int32(12)))


@njit(nogil=True, cache=True, inline="always")
def _size(n: Any) -> Any:
    """A number that is not negative, with the leading bit of n."""
    return n ^ (n >> np.int32(31))


@njit(nogil=True, cache=True, inline="always")
def _is_nan(x: Any) -> Any:
    return BEYOND_CURRENT if np.isnan(x) else np.int32(0)


@njit(nogil=True, cache=True, inline="always")
def _nan_bits(x: Any) -> Any:
    """What marks a NaN as too wide, where its integer does not."""
    return np.int32(0) if NAN_IS_WIDE else _is_nan(x)


@njit(nogil=True, cache=True)
def _none(wide: Array) -> bool:
    widest = np.int32(0)
    for i in range(len(wide)):
        widest |= wide[i]
    return widest == 0


@njit(nogil=True, cache=True)
def integrate_forward(
    start: int, stop: int, x: Array, keep: Array, state: Array | None, scale: np.float32, y: Array, left: Array
) -> None:
    """As `cuba.integrate_forward`, for a scale that is a power of two.

    Args:
        start: See there, like all but `left`.
        stop: See there.
        x: See there.
        keep: See there.
        state: See there.
        scale: See there.
        y: See there.
        left: Receives whether a neuron is left to 64 bits, because it or its neighbour in a block needs them; what is
            written of it is worthless.
    """
    # Flat arrays and unsigned indices: slices count references, and signed indices may mean "from the end".
    unit, x_, y_, leaks = np.float32(1) / scale, x.reshape(-1), y.reshape(-1), False
    for channel in range(len(keep)):
        leaks |= keep[channel] != 0
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        n = np.zeros(3 * BLOCK, np.int32)  # the integer, what is kept of it, what was too wide
        spread(keep, first, n[BLOCK : BLOCK + size])
        if state is not None:
            for i in range(np.uintp(size)):
                n[i] = np.int32(state[first + i] * scale)
                n[WIDE + i] = _is_nan(state[first + i]) | (_size(n[i]) & BEYOND_CURRENT)
        for t in range(len(x)):
            at = np.uintp(t * x.shape[1] + first)
            if leaks:
                for i in range(np.uintp(size)):
                    n[i] = _leak(n[i], n[KEPT + i]) + np.int32(x_[at + i] * scale)
                    n[WIDE + i] |= (_size(n[i]) & BEYOND_CURRENT) | _nan_bits(x_[at + i])
                    y_[at + i] = np.float32(n[i]) * unit
            else:  # the common neuron without a memory of its current, in half the time
                for i in range(np.uintp(size)):
                    current = np.int32(x_[at + i] * scale)
                    n[WIDE + i] |= (_size(current) & BEYOND_CURRENT) | _nan_bits(x_[at + i])
                    y_[at + i] = np.float32(current) * unit
        left[first : first + size] = not _none(n[WIDE : WIDE + np.uintp(size)])


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
    """As `cuba.cuba_forward`, for a scale that is a power of two; for `left` see `integrate_forward`."""
    if not (abs(threshold * scale) < EXACT and (resets_at < EXACT or np.isinf(resets_at))):
        left[start:stop] = True
        return
    fires_at, unit = np.int32(np.ceil(threshold * scale)), np.float32(1) / scale
    zero_at = BEYOND_VOLTAGE if np.isinf(resets_at) else np.int32(np.ceil(resets_at))
    x_, v_, s_ = x.reshape(-1), v.reshape(-1), s.reshape(-1)
    if u is not None:
        u_ = u.reshape(-1)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        n = np.zeros(5 * BLOCK, np.int32)
        spread(keep_v, first, n[BLOCK : BLOCK + size])
        if keep_u is not None:
            spread(keep_u, first, n[4 * BLOCK : 4 * BLOCK + size])
        if state_u is not None:
            for i in range(np.uintp(size)):
                n[CURRENT + i] = np.int32(state_u[first + i] * scale)
                n[WIDE + i] |= (_size(n[CURRENT + i]) & BEYOND_CURRENT) | _is_nan(state_u[first + i])
        if state_v is not None:
            for i in range(np.uintp(size)):
                n[i] = np.int32(state_v[first + i] * scale)
                n[WIDE + i] |= (_size(n[i]) & BEYOND_VOLTAGE) | _is_nan(state_v[first + i])
        if gain is not None:
            affine = np.empty(2 * BLOCK, np.float32)
            spread(gain, first, affine[:size])
            spread(offset, first, affine[BLOCK : BLOCK + size])
        for t in range(len(x)):
            at = np.uintp(t * x.shape[1] + first)
            if keep_u is not None:
                for i in range(np.uintp(size)):
                    n[CURRENT + i] = _leak(n[CURRENT + i], n[CURRENT_KEPT + i]) + np.int32(x_[at + i] * scale)
                    n[WIDE + i] |= _nan_bits(x_[at + i])
            elif gain is not None:
                for i in range(np.uintp(size)):
                    current = rounded(x_[at + i], scale, unit) * affine[i] + affine[KEPT + i]
                    n[CURRENT + i] = np.int32(current * scale)
                    n[WIDE + i] |= _nan_bits(current)
            else:
                for i in range(np.uintp(size)):
                    n[CURRENT + i] = np.int32(x_[at + i] * scale)
                    n[WIDE + i] |= _nan_bits(x_[at + i])
            for i in range(np.uintp(size)):
                voltage = np.int32(_leak(n[i], n[KEPT + i]) + n[CURRENT + i])
                n[WIDE + i] |= (_size(n[CURRENT + i]) & BEYOND_CURRENT) | (_size(voltage) & BEYOND_VOLTAGE)
                n[i] = np.int32(0) if voltage >= zero_at else voltage
                v_[at + i] = np.float32(voltage) * unit
                s_[at + i] = np.float32(voltage >= fires_at)
                if u is not None:
                    u_[at + i] = np.float32(n[CURRENT + i]) * unit
            if graded:
                for i in range(np.uintp(size)):
                    s_[at + i] *= v_[at + i]
        left[first : first + size] = not _none(n[WIDE : WIDE + np.uintp(size)])
