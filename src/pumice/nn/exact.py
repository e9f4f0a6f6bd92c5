"""Integers do not depend on torch's ambient modes: autocast, TF32, bfloat16 products, the default dtype.

What computes a deployed network's integers is decorated with `exactly_if_deployed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

from pumice.backends.torch.exact import WhileAnyComputes, exact_arithmetic

_P = ParamSpec("_P")
_R = TypeVar("_R")


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Make new tensors of this type until the context ends, if it is float32 or float64.

    lava-dl's blocks make their states without saying of which.

    Example:
        >>> with default_dtype(torch.float64):
        ...     torch.zeros(1).dtype
        torch.float64
    """
    chosen = torch.get_default_dtype()
    torch.set_default_dtype(dtype if dtype in {torch.float32, torch.float64} else chosen)
    try:
        yield
    finally:
        torch.set_default_dtype(chosen)


@contextmanager
def direct_convolution() -> Iterator[None]:
    """Convolve by sums of products until the context ends.

    NNPACK, which torch takes where oneDNN is off or missing, convolves by Winograd's transforms, which round: sums of
    integers are integers no more.

    Example:
        >>> with direct_convolution():
        ...     torch.nn.functional.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3)).item()
        9.0
    """
    if torch.compiler.is_compiling() or (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
        yield
        return
    _NNPACK_OFF.enter()
    try:
        yield
    finally:
        _NNPACK_OFF.leave()


class _Nnpack:
    """Its switch as an attribute."""

    @property
    def enabled(self) -> bool:
        """Whether torch may take it."""
        return bool(torch._C._get_nnpack_enabled())

    @enabled.setter
    def enabled(self, value: bool) -> None:
        nnpack: Any = torch.backends.nnpack
        nnpack.set_flags(value)


_NNPACK = _Nnpack()
_NNPACK_OFF = WhileAnyComputes(lambda: [(_NNPACK, "enabled", False)] if _NNPACK.enabled else [])


def exactly_if_deployed(forward: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a module's forward pass compute in `exact_arithmetic` once the module is deployed (`is_deployed`)."""

    @wraps(forward)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        module: Any = args[0]
        if not module.is_deployed:
            return forward(*args, **kwargs)
        with exact_arithmetic():
            return forward(*args, **kwargs)

    return wrapped
