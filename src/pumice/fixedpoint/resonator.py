"""One time step of the resonate-and-fire neuron, in the two forms that Lava has."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.bits import shift_toward_zero, to_int32
from pumice.fixedpoint.formats import STATE_LIMIT

Int32Array = npt.NDArray[np.int32]


class ResonatorState(NamedTuple):
    """Real and imaginary part of the oscillation, 24-bit integers held as int32."""

    real: Int32Array
    imag: Int32Array


def resonator_step(
    state: ResonatorState,
    activation_real: npt.ArrayLike,
    activation_imag: npt.ArrayLike,
    *,
    sin_decay: npt.ArrayLike,
    cos_decay: npt.ArrayLike,
    vth: npt.ArrayLike,
    state_exp: int = 6,
    decay_bits: int = 12,
    izhikevich: bool = False,
) -> tuple[npt.NDArray[np.bool_], ResonatorState]:
    r"""Rotate and shrink the state, add the input, and fire.

    .. math::
        re' &= \lfloor c\,re / 2^{b} \rceil_0 - \lfloor s\,im / 2^{b} \rceil_0 + a_{re} 2^{e} \\
        im' &= \lfloor s\,re / 2^{b} \rceil_0 + \lfloor c\,im / 2^{b} \rceil_0 + a_{im} 2^{e}

    both clipped to 24 bits. The plain form fires where re' >= vth, im' >= 0 and im < 0 (the phase passes zero),
    without a reset. Izhikevich's form fires where im' >= vth, and sets re to 0 and im to vth - 1 there.

    Args:
        state: Before the step.
        activation_real: Sum over the synapses into the real part.
        activation_imag: Sum over the synapses into the imaginary part.
        sin_decay: s, times 2^decay_bits.
        cos_decay: c, times 2^decay_bits.
        vth: Threshold, in the state's units.
        state_exp: Left shift e of the input.
        decay_bits: b.
        izhikevich: Which form.

    Returns:
        The spikes (bool) and the state after the step.

    Example:
        >>> rest = ResonatorState(np.zeros(1, np.int32), np.zeros(1, np.int32))
        >>> s, state = resonator_step(rest, [0], [2], sin_decay=4096, cos_decay=0, vth=100, izhikevich=True)
        >>> s.tolist(), state.imag.tolist()
        ([True], [99])
    """
    sin, cos = np.asarray(sin_decay, dtype=np.int64), np.asarray(cos_decay, dtype=np.int64)
    real_in = to_int32(np.asarray(activation_real, dtype=np.int64) << state_exp)
    imag_in = to_int32(np.asarray(activation_imag, dtype=np.int64) << state_exp)
    real = _scaled(cos, state.real, decay_bits) - _scaled(sin, state.imag, decay_bits) + real_in
    imag = _scaled(sin, state.real, decay_bits) + _scaled(cos, state.imag, decay_bits) + imag_in
    new_real, new_imag = (np.clip(x, 1 - STATE_LIMIT, STATE_LIMIT - 1).astype(np.int32) for x in (real, imag))
    threshold = np.asarray(vth, dtype=np.int64)
    if not izhikevich:
        return (new_real >= threshold) & (new_imag >= 0) & (state.imag < 0), ResonatorState(new_real, new_imag)
    spikes = new_imag >= threshold
    fired_imag = np.where(spikes, threshold - 1, new_imag).astype(np.int32)
    return spikes, ResonatorState(np.where(spikes, 0, new_real).astype(np.int32), fired_imag)


def _scaled(factor: npt.NDArray[np.int64], part: Int32Array, bits: int) -> npt.NDArray[np.int64]:
    return shift_toward_zero(factor * part.astype(np.int64), bits)
