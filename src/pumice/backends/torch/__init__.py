"""Exact simulation of graphs by torch, on any of its devices."""

from pumice.backends.torch.backend import TorchBackend

__all__ = ["TorchBackend"]
