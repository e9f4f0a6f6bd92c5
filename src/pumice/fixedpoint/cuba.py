"""One time step of the current-based leaky integrate-and-fire neuron (CUBA/LIF) of Loihi 2."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.bits import clip24, shift_toward_zero, to_int32, wrap24_once
from pumice.fixedpoint.formats import DECAY_BITS, DECAY_ONE, STATE_EXP

Int32Array = npt.NDArray[np.int32]


class CubaState(NamedTuple):
    """Current `u` and voltage `v` of each neuron, 24-bit integers held as int32."""

    u: Int32Array
    v: Int32Array


def decay(x: npt.ArrayLike, decay_q12: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Give x * (1 - decay), decay in units of 2^-12, the fraction dropped toward zero.

    Args:
        x: State, integers of any shape.
        decay_q12: 0 (keep everything) to 4096 (forget everything); broadcast against `x`.
    """
    keep = DECAY_ONE - np.asarray(decay_q12, dtype=np.int64)
    return shift_toward_zero(np.asarray(x, dtype=np.int64) * keep, DECAY_BITS)


def effective_bias(bias_mant: npt.ArrayLike, bias_exp: int) -> Int32Array:
    """bias_mant * 2^bias_exp, in the voltage's units.

    Args:
        bias_mant: Signed 13-bit mantissa (Lava's CPU model holds 16 bits).
        bias_exp: 0 to 7; NetX files imply 6.
    """
    return to_int32(np.asarray(bias_mant, dtype=np.int64) << bias_exp)


def cuba_step(
    state: CubaState,
    activation: npt.ArrayLike,
    *,
    i_decay_q12: npt.ArrayLike,
    v_decay_q12: npt.ArrayLike,
    vth_mant: npt.ArrayLike,
    bias: npt.ArrayLike = 0,
) -> tuple[npt.NDArray[np.bool_], CubaState]:
    r"""Advance a population by one time step.

    .. math::
        u &\leftarrow \mathrm{wrap}(\lfloor u (4096 - d_i) / 4096 \rceil_0 + a \cdot 2^6) \\
        v &\leftarrow \mathrm{clip}(\lfloor v (4096 - d_v) / 4096 \rceil_0 + u + b) \\
        s &= v > \vartheta \cdot 2^6, \qquad v \leftarrow 0 \text{ where } s

    where :math:`\lfloor\cdot\rceil_0` rounds toward zero. This is Lava's ``PyLifModelBitAcc`` with
    ``du = i_decay_q12 - 1`` (that model adds 1), held equal to it by tests/contract.

    Args:
        state: u and v before the step.
        activation: Sum over the incoming synapses, integer, same shape as the state.
        i_decay_q12: Current decay, 0 to 4096.
        v_decay_q12: Voltage decay, 0 to 4096.
        vth_mant: Threshold mantissa; the neuron fires when v is strictly greater than vth_mant * 64.
        bias: Added to the voltage in every step, see `effective_bias`.

    Returns:
        The spikes (bool) and the state after the step, fired neurons' voltage already reset to 0.

    Example:
        >>> state = CubaState(np.zeros(2, np.int32), np.zeros(2, np.int32))
        >>> s, state = cuba_step(state, [10, 11], i_decay_q12=4096, v_decay_q12=0, vth_mant=10)
        >>> s.tolist(), state.v.tolist()  # exactly at threshold does not fire
        ([False, True], [640, 0])
    """
    injected = to_int32(np.asarray(activation, dtype=np.int64) << STATE_EXP)
    u = wrap24_once(decay(state.u, i_decay_q12) + injected)
    v = clip24(decay(state.v, v_decay_q12) + u + np.asarray(bias, dtype=np.int64))
    spikes = v > (np.asarray(vth_mant, dtype=np.int64) << STATE_EXP)
    return spikes, CubaState(u, np.where(spikes, 0, v).astype(np.int32))
