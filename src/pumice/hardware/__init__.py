"""What chips can hold: one file per chip, and what is believed about its costs."""

from pumice.hardware.constants import Board, Constant, Constants, Range, load_constants
from pumice.hardware.loihi2 import (
    LOIHI2,
    ChipLimits,
    passes_pixels,
    register_violations,
    reset_violations,
    violations,
    wide_images,
)
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
    "passes_pixels",
    "register_violations",
    "reset_violations",
    "violations",
    "wide_images",
]
