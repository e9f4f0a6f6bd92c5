"""Networks of other simulators, from and to NIR files (the Neuromorphic Intermediate Representation)."""

from pumice.nir.exporting import to_nir
from pumice.nir.importing import REPORT, from_nir

__all__ = ["REPORT", "from_nir", "to_nir"]
