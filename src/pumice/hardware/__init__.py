"""What chips can hold: one file per chip, and what is believed about its costs."""

from pumice.hardware.constants import Board, Constant, Constants, Range, load_constants
from pumice.hardware.loihi2 import LOIHI2, ChipLimits, register_violations, reset_violations, violations
from pumice.hardware.violation import Violation

__all__ = [
    "LOIHI2",
    "Board",
    "ChipLimits",
    "Constant",
    "Constants",
    "Range",
    "Violation",
    "load_constants",
    "register_violations",
    "reset_violations",
    "violations",
]
