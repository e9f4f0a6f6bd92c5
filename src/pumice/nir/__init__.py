"""Networks of other simulators, from NIR files (the Neuromorphic Intermediate Representation)."""

from pumice.nir.importing import REPORT, from_nir

__all__ = ["REPORT", "from_nir"]
