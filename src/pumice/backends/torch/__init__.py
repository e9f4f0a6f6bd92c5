"""Exact simulation of graphs by torch, on any of its devices.

The backend is imported when it is first used: `pumice.nn` needs the exact arithmetic only, and no numba.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pumice.backends.torch.backend import TorchBackend

__all__ = ["TorchBackend"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"{__name__}.backend"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
