"""The definition of what a graph does: integers only, one step after the other, slow and obvious."""

from pumice.backends.reference.backend import ReferenceBackend

__all__ = ["ReferenceBackend"]
