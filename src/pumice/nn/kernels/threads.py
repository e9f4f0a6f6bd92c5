"""Compiled loops on as many threads as torch uses.

A pool of Python threads, because the loops release the interpreter's lock: numba's own thread pools are either not
safe when two threads call them, or not safe in a process that forks, and both data loaders and Lava fork.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch


def parallel_for(loop: Callable[..., None], n: int, *args: Any, grain: int = 1) -> None:
    """Call `loop(start, stop, *args)` on ranges that cover 0..n, at the same time.

    The ranges must not write to the same places; then the result does not depend on the number of threads.

    Args:
        loop: Compiled with `nogil=True`.
        n: Number of items.
        *args: What the loop needs.
        grain: Fewest items that are worth a thread.

    Example:
        >>> seen = []
        >>> parallel_for(lambda start, stop: seen.append((start, stop)), 3, grain=8)
        >>> seen
        [(0, 3)]
    """
    ranges = max(1, min(torch.get_num_threads(), n // grain))
    bounds = [n * i // ranges for i in range(ranges + 1)]
    if ranges == 1:
        loop(0, n, *args)
        return
    futures = [_pool(os.getpid(), ranges - 1).submit(loop, *bounds[i : i + 2], *args) for i in range(1, ranges)]
    loop(0, bounds[1], *args)
    for future in futures:
        future.result()


@lru_cache(maxsize=1)
def _pool(_process: int, threads: int) -> ThreadPoolExecutor:
    """One pool per process: a forked child has none of its parent's threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix="pumice")
