"""What the machine has for this process."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Cores that this process may use.

    Example:
        >>> available_cores() >= 1
        True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_bytes() -> int | None:
    """The machine's memory; None where the system does not say.

    Example:
        >>> machine_bytes() is None or machine_bytes() > 1 << 20
        True
    """
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return found if found > 0 else None
