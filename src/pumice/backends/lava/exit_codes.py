"""Exit codes of processes, in words."""

from __future__ import annotations

import signal


def manner_of_death(exit_code: int | None) -> str:
    """How a process ended, with the likely cause.

    Args:
        exit_code: As `multiprocessing.Process.exitcode` has it: negative for a signal, `None` if it is not known.

    Example:
        >>> manner_of_death(7)
        'died with exit code 7'
    """
    if exit_code is None:
        return "died"
    if exit_code >= 0:
        return f"died with exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = "unknown"
    causes = {
        "SIGKILL": "; the kernel kills so when memory runs out",
        "SIGXCPU": "; a limit of CPU time (`ulimit -t`)",
    }
    return f"was killed by signal {-exit_code} ({name}{causes.get(name, '')})"
