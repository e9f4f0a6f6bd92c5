"""The memory of large tensors, kept for the next training step when they are freed."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
LARGEST_KEPT = 32 << 20  # bytes; glibc allows no more
MOST_KEPT = 1 << 30


def keep_large_tensors() -> None:
    """Let this process keep the memory of freed tensors.

    Every training step frees and allocates the same large tensors. By default the C library gives them back to the
    kernel each time, which clears every page before it hands it out again; `benchmarks/train_step.py --as-is` shows
    what that costs. `pumice.train.train` calls this; in a loop of your own call it once, before the first large
    tensor. Up to 1 GiB that is free is kept, of tensors up to 32 MiB. Only glibc (Linux) is changed.

    Random reads in pages of 4 KiB miss the translation buffer, too. torch takes huge pages if its first tensor finds
    THP_MEM_ALLOC_ENABLE=1 in the environment: `pumice train` sets it, a script must be started with it.

    Example:
        >>> keep_large_tensors()
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, MOST_KEPT)
