"""How an integer weight matrix is stored in the chip's 8-bit synapses without changing its values."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.formats import MIXED_WEIGHT


class SignMode(Enum):
    """Which signs a synapse's 8 bits cover: the sign bit is spent only where both occur."""

    MIXED = 1
    EXCITATORY = 2
    INHIBITORY = 3


class WeightForm(NamedTuple):
    """Stored weights w' with w = w' * 2^weight_exp, and the format that keeps every w' as it is."""

    stored: npt.NDArray[np.int32]
    weight_exp: int
    sign_mode: SignMode


def weight_form(weight: npt.NDArray[np.integer[Any]], weight_exp: int = 0) -> WeightForm | None:
    """Find a stored form that the chip's 8 bits hold exactly, or None if there is none.

    Mixed signs hold the even numbers of [-256, 254]; one sign alone holds 0 to 255 in steps of 1. Odd
    weights of both signs fit when they can be doubled and the sum halved again.

    Args:
        weight: Integers of any shape, as they act (before `weight_exp`).
        weight_exp: Left shift of the sum that the synapse asks for.

    Example:
        >>> form = weight_form(np.array([-3, 100]))
        >>> form.stored.tolist(), form.weight_exp, form.sign_mode.name
        ([-6, 200], -1, 'MIXED')
        >>> weight_form(np.array([-3, 200])) is None
        True
    """
    w = np.asarray(weight, dtype=np.int64)
    low, high = (int(w.min()), int(w.max())) if w.size else (0, 0)
    if low >= MIXED_WEIGHT.low and high <= MIXED_WEIGHT.high and not np.any(w & 1):
        return WeightForm(w.astype(np.int32), weight_exp, SignMode.MIXED)
    if low >= 0 and high <= 255:
        return WeightForm(w.astype(np.int32), weight_exp, SignMode.EXCITATORY)
    if high <= 0 and low >= -255:
        return WeightForm(w.astype(np.int32), weight_exp, SignMode.INHIBITORY)
    if low >= -128 and high <= 127:
        return WeightForm((2 * w).astype(np.int32), weight_exp - 1, SignMode.MIXED)
    return None


def stored_bits(weight: npt.NDArray[np.integer[Any]]) -> int:
    """Bits of each weight in a core's memory: those of the largest, without the power of two that all share.

    Weights of both signs are in two's complement, weights of one sign without a sign. Inferred from the tables that
    the chip's compiler prints; nowhere documented.

    Args:
        weight: Integers of any shape.

    Example:
        >>> stored_bits(np.array([-96, 32])), stored_bits(np.array([4, 4])), stored_bits(np.array([-3, 254]))
        (3, 1, 9)
    """
    w = np.asarray(weight, dtype=np.int64).reshape(-1)
    together = int(np.bitwise_or.reduce(np.abs(w))) if w.size else 0
    if not together:
        return 1
    unit = together & -together
    low, high = int(w.min()) // unit, int(w.max()) // unit
    if low >= 0 or high <= 0:
        return max(high, -low).bit_length()
    return 1 + max(high, -low - 1).bit_length()
