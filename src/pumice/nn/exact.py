"""Integers do not depend on torch's ambient modes: autocast, TF32, bfloat16 products, the default dtype.

The only place that knows these modes. What computes a deployed network's integers is decorated with
`exactly_if_deployed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

_P = ParamSpec("_P")
_R = TypeVar("_R")
_DEVICES = ("cpu", "cuda")
_IEEE = ("ieee", "none")


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Compute float32 products in float32, whatever the caller chose, until the context ends.

    Sums of integers below 2^24 are float32s exactly, but not in the shorter formats that autocast, TF32 and
    `torch.set_float32_matmul_precision` allow.

    Example:
        >>> x = torch.full((1, 2), 255.0)
        >>> with torch.autocast("cpu", torch.bfloat16), exact_arithmetic():
        ...     torch.nn.functional.linear(x, torch.ones(1, 2)).item()
        510.0
    """
    if torch.compiler.is_compiling() or (changed := _changed_modes()) is None:
        yield
        return
    with ExitStack() as stack:
        for device in filter(torch.is_autocast_enabled, _DEVICES):
            stack.enter_context(torch.autocast(device, enabled=False))
        for place, name, value in changed:
            stack.callback(setattr, place, name, getattr(place, name))
            setattr(place, name, value)
        yield


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
    nnpack: Any = torch.backends.nnpack
    if torch.compiler.is_compiling() or (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
        yield
        return
    with nnpack.flags(enabled=False):
        yield


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


def _changed_modes() -> list[tuple[Any, str, Any]] | None:
    """What must be set to what; None if everything is exact already."""
    changed = [
        (place, name, value)
        for place, name, value, fine in _precisions()
        if (found := getattr(place, name, None)) is not None and found not in fine
    ]
    return changed if changed or any(map(torch.is_autocast_enabled, _DEVICES)) else None


def _precisions() -> Iterator[tuple[Any, str, Any, tuple[Any, ...]]]:
    """Where torch keeps the precision of float32 products: place, name, the exact value, and values as good."""
    backends: Any = torch.backends
    if hasattr(backends.mkldnn, "conv"):  # torch 2.9 and later
        places = [backends.mkldnn.conv, backends.mkldnn.matmul]
        if torch.cuda.is_available():
            places += [backends.cuda.matmul, backends.cudnn.conv]
            yield backends.cudnn, "enabled", False, (False,)  # cuDNN may choose Winograd's or Fourier's transforms
        # "none" asks the level above.
        fine = _IEEE if getattr(backends, "fp32_precision", "none") in _IEEE else _IEEE[:1]
        for place in places:
            yield place, "fp32_precision", "ieee", fine
    elif torch.cuda.is_available():
        yield backends.cuda.matmul, "allow_tf32", False, (False,)
        yield backends.cudnn, "allow_tf32", False, (False,)
        yield backends.cudnn, "enabled", False, (False,)
