"""Clocks of `gpu.py`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

START = time.perf_counter()


def elapsed_seconds() -> float:
    """Since the start."""
    return time.perf_counter() - START


def median_ms(call: Callable[[], Any], device: torch.device, repeats: int = 20) -> float:
    """Median milliseconds of a call."""
    call()
    times = []
    for _ in range(repeats):
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)
