"""The chip's number formats, each known here once, with its source; see also `pumice.hardware`."""

from __future__ import annotations

from typing import NamedTuple


class Format(NamedTuple):
    """The whole numbers that a field holds.

    Attributes:
        low: Smallest.
        high: Largest.
    """

    low: int
    high: int


DECAY_BITS = 12
"""Fractional bits of a decay, an unsigned fixed-point number."""
DECAY_ONE = 1 << DECAY_BITS
"""A decay of 1, which forgets everything."""
DECAY = Format(0, DECAY_ONE)
"""`du` and `dv` of Lava's LIF process."""
STATE_LIMIT = 1 << 23
"""Half of what 24 bits tell apart: the voltage clips below it, the current wraps past it."""
STATE = Format(-STATE_LIMIT, STATE_LIMIT - 1)
"""Current and voltage: 24 bits with sign (Lava's `PyLifModelBit`)."""
STATE_BYTES = 3
"""Of a current or a voltage."""
WORD_LIMIT = 1 << 31
"""Sums, and values between populations, have 32 bits with sign."""
WEIGHT = Format(-256, 255)
"""A weight's value, of 8 bits and an exponent; which of them one synapse may hold, `fixedpoint.weight_form` says."""
MIXED_WEIGHT = Format(-256, 254)
"""Even numbers: 8 bits with sign, which both signs share (Lava's `SignMode.MIXED`)."""
WEIGHT_EXP = Format(0, 7)
"""Left shift of a synapse's sum."""
BIAS_MANT = Format(-(1 << 12), (1 << 12) - 1)
"""13 bits with sign (docstring of Lava's LIF)."""
BIAS_EXP = Format(0, 7)
"""3 bits (ibid.)."""
VTH_MANT = Format(0, (1 << 17) - 1)
"""17 bits without sign (ibid.)."""
NEVER_FIRES_VTH_MANT = VTH_MANT.high + 1
"""Above every voltage: shifted, it is what the voltage clips at."""
STATE_EXP = 6
"""The synaptic sum and the threshold's mantissa are shifted left by so many bits before they meet a state."""
SUM_LIMIT = STATE_LIMIT >> STATE_EXP
"""A larger synaptic sum wraps the 24-bit current."""
CHANGE_EXP = Format(0, 7)
"""Exponents of what sigma-delta neurons send and of their states: 3 bits (Lava's `PySigmaDeltaModelFixed`)."""
DELAY_STEPS = Format(0, 62)
"""lava-dl and NetX stop at 62 (lava-dl's `axon.Delay`); the chip's 6 bits would hold 63."""
EXACT_FLOAT32 = 1 << 24
"""Below, whole numbers and their sums are float32s exactly (24 bits of significand, IEEE 754)."""
EXACT_FLOAT64 = 1 << 53
"""The same of float64s (53 bits)."""
