"""What the machine has for this process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import resource

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Cores that this process may use.

    Example:
        >>> available_cores() >= 1
        True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_bytes() -> int | None:
    """The least of: memory the machine has left, what the container may still take, and this process's limit.

    None where the system says none of them.

    Example:
        >>> available_bytes() is None or available_bytes() > 1 << 20
        True
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
    """What is left; all it has where the system does not say that."""
    try:
        rows = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        return int(rows["MemAvailable"].split()[0]) << 10
    except (OSError, KeyError, ValueError):
        return _installed()


def _installed() -> int | None:
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return found if found > 0 else None


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
