"""One time step of the sigma, delta and sigma-delta neurons, which send changes of a value instead of spikes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.bits import to_int32

Int32Array = npt.NDArray[np.int32]


class DeltaState(NamedTuple):
    """The last value, what of its changes was not sent yet, and the error summed up since the last message."""

    act: Int32Array
    residue: Int32Array
    error: Int32Array


def sigma_step(sigma: npt.ArrayLike, activation: npt.ArrayLike) -> Int32Array:
    """Sum up changes: sigma + a, modulo 2^32.

    Example:
        >>> sigma_step([5, -1], [2, 2]).tolist()
        [7, 1]
    """
    return to_int32(np.asarray(sigma, dtype=np.int64) + np.asarray(activation, dtype=np.int64))


def delta_step(
    state: DeltaState, act: npt.ArrayLike, *, vth: npt.ArrayLike, cum_error: bool = False
) -> tuple[Int32Array, DeltaState]:
    r"""Send the change of a value once it is large enough.

    .. math::
        \delta &= act' - act + residue \\
        S &= \delta \text{ if } |\delta| \ge \vartheta \text{ (or } |error'| \ge \vartheta), \text{ else } 0 \\
        residue &= \delta - S, \qquad act = act'

    Args:
        state: Before the step.
        act: The new value, with all its fraction bits.
        vth: Threshold in the same units.
        cum_error: Compare the sum of all changes since the last message instead of the last change.

    Returns:
        The change to send, still with all fraction bits, and the state after the step.

    Example:
        >>> zero = np.zeros(1, np.int32)
        >>> sent, state = delta_step(DeltaState(zero, zero, zero), [3], vth=4)
        >>> sent.tolist(), delta_step(state, [5], vth=4)[0].tolist()
        ([0], [5])
    """
    value = to_int32(act)
    change = to_int32(value.astype(np.int64) - state.act + state.residue)
    error = to_int32(state.error.astype(np.int64) + change) if cum_error else state.error
    compared = error if cum_error else change
    sent = np.where(np.abs(compared) >= np.asarray(vth), change, 0).astype(np.int32)
    if cum_error:  # where the magnitude is positive: that of -2^31 is -2^31 in 32 bits, in Lava as in NumPy
        error = np.where(np.abs(sent) > 0, 0, error).astype(np.int32)
    return sent, DeltaState(value, to_int32(change.astype(np.int64) - sent), error)
