"""Torch's ambient modes that change what a float32 product gives: autocast, TF32, bfloat16 products.

The only place that knows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

_DEVICES = ("cpu", "cuda", "xpu", "mps")
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
    places = [backends.mkldnn.conv, backends.mkldnn.matmul]
    if torch.cuda.is_available():
        places += [backends.cuda.matmul, backends.cudnn.conv]
        yield backends.cudnn, "enabled", False, (False,)  # cuDNN may choose Winograd's or Fourier's transforms
    # "none" asks the level above.
    fine = _IEEE if backends.fp32_precision in _IEEE else _IEEE[:1]
    for place in places:
        yield place, "fp32_precision", "ieee", fine
