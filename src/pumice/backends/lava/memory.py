"""Memory that forked processes share: without a name, so that it is gone with the last process that maps it."""

from __future__ import annotations

import math
import mmap
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.errors import BackendError

if sys.platform != "win32":
    import resource

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
HEADROOM = 0.9


def anonymous(n_bytes: int) -> mmap.mmap:
    """Zeros that processes forked from now on share.

    Raises:
        BackendError: There is no memory.
    """
    try:
        return mmap.mmap(-1, max(1, n_bytes))
    except (OSError, MemoryError) as error:
        raise BackendError(
            f"there is no memory for {size_of(n_bytes)} that Lava's processes share ({error}); run fewer steps at "
            "a time, record less, or raise the limit (`ulimit -v`, the container's)"
        ) from None


def shared_array(shape: tuple[int, ...], dtype: type[np.integer[Any]]) -> npt.NDArray[Any]:
    """Zeros in memory that forked processes share; it is freed with the last reference.

    Raises:
        BackendError: There is no memory.

    Example:
        >>> shared_array((2, 3), np.int32).sum()
        0
    """
    count = math.prod(shape)
    return np.frombuffer(anonymous(count * np.dtype(dtype).itemsize), dtype=dtype, count=count).reshape(shape)


def require(n_bytes: int, what: str) -> None:
    """Refuse what could only end in the kernel's killing a process.

    Args:
        n_bytes: What will be used at the least.
        what: Named in the error.

    Raises:
        BackendError: It is more than nine tenths of what is available.
    """
    available = available_bytes()
    if available is not None and n_bytes > HEADROOM * available:
        raise BackendError(
            f"{what} needs at least {size_of(n_bytes)}, and {size_of(available)} of memory are available; "
            "run fewer steps at a time, or record less"
        )


def available_bytes() -> int | None:
    """The least of: memory the machine has left, what the container may still take, and this process's limit.

    `None` where the system says none of them.
    """
    found = [value for value in (_machine(), _container(), _limit()) if value is not None]
    return min(found, default=None)


def size_of(n_bytes: int) -> str:
    """For people.

    Example:
        >>> size_of(3 << 30), size_of(5 << 20)
        ('3.0 GiB', '5.0 MiB')
    """
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.1f} MiB"


def _machine() -> int | None:
    try:
        rows = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        return int(rows["MemAvailable"].split()[0]) << 10
    except (OSError, KeyError, ValueError):
        return None


def _container() -> int | None:
    """Of control groups, version 2; files that were read count as used, but can be given back."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        rows = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        used = int((CGROUP / "memory.current").read_text()) - int(rows["inactive_file"])
        return None if limit == "max" else max(0, int(limit) - used)
    except (OSError, KeyError, ValueError):
        return None


def _limit() -> int | None:
    if sys.platform == "win32":
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return None
    try:
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        mapped = 0
    return max(0, soft - mapped)
