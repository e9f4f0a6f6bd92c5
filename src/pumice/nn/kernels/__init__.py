"""Compiled loops: numba on the CPU, Triton on CUDA. Each does one thing to plain arrays.

`kernels.cpu` and its like are imported when they are first used: numba and Triton are slow to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pumice.nn.kernels import cpu, cuda, event_convolution, events

__all__ = ["cpu", "cuda", "event_convolution", "events"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
