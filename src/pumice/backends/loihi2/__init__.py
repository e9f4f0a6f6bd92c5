"""Runs a graph on Loihi 2: the `GraphProcess` of the Lava backend, between the chip's adapters.

What runs it there is Intel's closed extension of Lava, for members of its research community. `Loihi2Backend` runs
a graph; `Loihi2Cfg` is the run configuration for networks of one's own, which refuses every process model that is
not the chip's; `ChipAdapters` makes what carries values in and out. docs/hardware.md tells how, and what of it has
been compared with silicon.
"""

from pumice.requirements import check_packages

check_packages("lava", needs="lava.magma", purpose="the loihi2 backend")  # before the imports below fail

# ruff: noqa: E402
from pumice.backends.loihi2.adapters import AbstractAdapters, ChipAdapters
from pumice.backends.loihi2.backend import Loihi2Backend
from pumice.backends.loihi2.chip_graph import ChipGraph, for_chip
from pumice.backends.loihi2.configuration import Loihi2Cfg
from pumice.backends.loihi2.profiling import PROBES
from pumice.backends.loihi2.refusals import refusals

__all__ = [
    "PROBES",
    "AbstractAdapters",
    "ChipAdapters",
    "ChipGraph",
    "Loihi2Backend",
    "Loihi2Cfg",
    "for_chip",
    "refusals",
]
