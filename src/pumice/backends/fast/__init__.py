"""The fast simulator: bit for bit the reference, hundreds of times the speed of Lava's CPU models."""

from pumice.backends.fast.backend import FastBackend
from pumice.backends.fast.program import Program
from pumice.backends.fast.simulator import Simulator

__all__ = ["FastBackend", "Program", "Simulator"]
