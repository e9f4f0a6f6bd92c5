"""Torch's ambient modes that change what a float32 product gives: autocast, TF32, bfloat16 products.

The only place that knows them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import torch

Modes: TypeAlias = list[tuple[Any, str, Any]]
"""Where torch keeps a mode: place, name, and the value to give it."""

_DEVICES = ("cpu", "cuda", "xpu", "mps")
_IEEE = ("ieee", "none")


class WhileAnyComputes:
    """Modes of the whole process: set while any thread asks for them, and given back by the last one.

    Args:
        wrong: Which of them are to be changed, and to what.
    """

    def __init__(self, wrong: Callable[[], Modes]) -> None:
        self._wrong = wrong
        self._forget()
        if hasattr(os, "register_at_fork"):  # of the threads that compute, a forked child has at most one
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._computing = 0
        self._before: Modes = []

    def enter(self) -> None:
        """Set the modes; `leave` must follow."""
        with self._lock:
            for place, name, value in self._wrong():
                self._before.append((place, name, getattr(place, name)))
                setattr(place, name, value)
            self._computing += 1

    def leave(self) -> None:
        """Give them back, if no other thread computes."""
        with self._lock:
            self._computing = max(0, self._computing - 1)
            while self._before and not self._computing:
                setattr(*self._before.pop())


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
    if torch.compiler.is_compiling():
        yield
        return
    with ExitStack() as stack:
        for device in filter(torch.is_autocast_enabled, _DEVICES):
            stack.enter_context(torch.autocast(device, enabled=False))
        _PRECISIONS.enter()
        stack.callback(_PRECISIONS.leave)
        yield


def _wrong_precisions() -> Modes:
    return [
        (place, name, value)
        for place, name, value, fine in _precisions()
        if (found := getattr(place, name, None)) is not None and found not in fine
    ]


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


_PRECISIONS = WhileAnyComputes(_wrong_precisions)
