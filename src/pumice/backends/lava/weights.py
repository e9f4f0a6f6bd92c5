"""Weights in the form that makes Lava's synapses act exactly as the graph says."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.utils.weightutils import SignMode

from pumice.fixedpoint import weight_form
from pumice.fixedpoint.formats import WORD_LIMIT
from pumice.ir import Synapse

GRADED_BITS = 24
"""Message width of a graded spike; Lava's CPU models only look at whether it is 0."""


def stored(weight: npt.NDArray[np.integer[Any]], weight_exp: int, largest_sum: int) -> dict[str, Any]:
    """Arguments of a Lava synapse whose weights act as they are.

    The chip's 8 bits are used where they hold the weights exactly. Otherwise (odd weights of both signs beyond
    8 bits, or doubled ones whose sum might leave 32 bits) the CPU models are told of 9 bits: they then drop none.

    Args:
        weight: Integers of any shape.
        weight_exp: Left shift of the sum.
        largest_sum: Bound on the magnitude of any target's sum, before the shift.

    Example:
        >>> stored(np.array([-3, 100]), 0, 103)["weight_exp"]
        -1
    """
    form = weight_form(weight, weight_exp)
    if form is None or (form.weight_exp < 0 and 2 * largest_sum >= WORD_LIMIT):
        return {
            "weights": weight.astype(np.int32),
            "weight_exp": weight_exp,
            "num_weight_bits": 9,
            "sign_mode": SignMode.MIXED,
        }
    return {
        "weights": form.stored,
        "weight_exp": form.weight_exp,
        "num_weight_bits": 8,
        "sign_mode": SignMode[form.sign_mode.name],
    }


def message_bits(synapse: Synapse) -> int:
    """0 for spikes; Lava takes any other number as "multiply by the value"."""
    return GRADED_BITS if synapse.graded else 0
