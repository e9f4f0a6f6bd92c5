"""From a trained torch network to a graph of integers."""

from pumice.lowering.network import lower

__all__ = ["lower"]
