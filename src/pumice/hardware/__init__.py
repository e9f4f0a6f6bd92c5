"""What chips can hold: one file per chip."""

from pumice.hardware.loihi2 import LOIHI2, ChipLimits, violations

__all__ = ["LOIHI2", "ChipLimits", "violations"]
