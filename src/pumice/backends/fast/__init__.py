"""The fast simulator: bit for bit the reference, hundreds of times the speed of Lava's CPU models."""

from pumice.backends.fast.backend import FastBackend
from pumice.backends.fast.simulator import Program, Simulator

__all__ = ["FastBackend", "Program", "Simulator"]
