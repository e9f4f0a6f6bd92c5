"""Do work in a forked process group of its own, which is gone afterwards, whatever happens in it or here.

The fork is `os.fork`, not `multiprocessing.Process`: that refuses workers of a pool or a data loader (daemonic), and
its end is noticed only when every process that it started has closed a pipe, too. No lock is used in the child that
another thread may hold at that moment: shared memory has no names, so nothing is registered with multiprocessing's
tracker (`runtime`), Python itself renews the locks of logging and threading, and numba's is waited for.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from numba.core.compiler_lock import global_compiler_lock

from pumice.backends.lava.exit_codes import manner_of_death
from pumice.errors import BackendError, InputError, PumiceError

if sys.platform != "win32":
    import fcntl

POLL_S = 0.01
GONE_S = 2.0
OUTPUT_TAIL = 2000
RESULT, ERROR = b"=", b"!"
PR_SET_PDEATHSIG = 1  # of Linux's prctl: a signal for when the parent ends
PRCTL = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None

Result = TypeVar("Result")


def _now() -> float:
    return time.monotonic()


def check_seconds(name: str, seconds: object) -> None:
    """Refuse what is no time to wait.

    Raises:
        InputError: It is no number above 0.
    """
    if not (isinstance(seconds, int | float | np.number) and seconds > 0):
        raise InputError(f"{name} must be a number of seconds above 0, got {seconds!r}")


class Patience(Protocol):
    """Says when to give up."""

    def ended(self) -> str | None:
        """Why the work is given up, `None` while it is not."""


@dataclass
class Stall:
    """Gives up when nothing was done for so long.

    Args:
        progress: Shared memory, one integer; whenever it changes, the clock starts anew.
        timeout_s: Longest time without progress.
    """

    progress: npt.NDArray[np.int64]
    timeout_s: float
    _last: int = 0
    _since: float = field(default_factory=_now)

    def ended(self) -> str | None:
        """As the protocol says."""
        if int(self.progress[0]) != self._last:
            self._last, self._since = int(self.progress[0]), _now()
        if _now() - self._since <= self.timeout_s:
            return None
        return (
            f"Lava made no progress for {self.timeout_s:g} s after {self._last} time steps, so it was stopped; "
            "a slow network needs LavaBackend(stall_timeout_s=...)"
        )


@dataclass
class Deadline:
    """Gives up after some time; never if it is `None`.

    Args:
        timeout_s: From now on.
    """

    timeout_s: float | None
    _began: float = field(default_factory=_now)

    def ended(self) -> str | None:
        """As the protocol says."""
        if self.timeout_s is None or _now() - self._began <= self.timeout_s:
            return None
        return (
            f"Lava was not done after {self.timeout_s:g} s, so it was stopped; it may be slow (raise timeout_s), or "
            "processes wait for each other: a loop of processes needs a synapse in it"
        )


def supervise(work: Callable[[], Result], patience: Patience) -> Result:
    """Run `work` in a forked process group and wait for it.

    Args:
        work: Called in the child; what it returns is pickled, and large results go through shared memory.
        patience: When to give up.

    Returns:
        What `work` returned.

    Raises:
        BackendError: The work raised (its traceback is in the message), died, or took too long.
    """
    if sys.platform == "win32":
        raise BackendError("Lava's runtime needs fork, which Windows does not have; use Linux (WSL) or macOS")
    outcome, output = _nameless_file(), _nameless_file()
    try:
        child = _Child(_fork(work, outcome, output))
        try:
            child.wait(patience, output)
        finally:
            child.end()
        result: Result = _result(_content(outcome), child.exit_code, output)
        return result
    finally:
        os.close(outcome)
        os.close(output)


def _nameless_file() -> int:
    """A descriptor that is none of the standard streams', which a program may have closed."""
    if hasattr(os, "memfd_create"):
        found = os.memfd_create("pumice-lava")
    else:
        with tempfile.TemporaryFile() as file:
            found = os.dup(file.fileno())
    moved = fcntl.fcntl(found, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(found)
    return moved


def _fork(work: Callable[[], object], outcome: int, output: int) -> int:
    parent = os.getpid()
    try:
        with global_compiler_lock:  # or a child that compiles could wait for a thread that it does not have
            pid = os.fork()
    except OSError as error:
        raise BackendError(
            f"no process could be started for Lava ({error}); raise the limit (`ulimit -u`, `ulimit -v`, the "
            "container's), or run fewer at once"
        ) from None
    if not pid:
        _child(work, outcome, output, parent)
    return pid


def _child(work: Callable[[], object], outcome: int, output: int, parent: int) -> NoReturn:
    code = 1
    try:
        os.setpgid(0, 0)
        _end_with(parent)
        os.register_at_fork(after_in_child=functools.partial(_end_with, os.getpid()))
        for number in (signal.SIGTERM, signal.SIGCHLD):  # whatever the caller does when they come
            signal.signal(number, signal.SIG_DFL)
        multiprocessing.set_start_method("fork", force=True)  # what Lava needs, whatever the caller has chosen
        multiprocessing.current_process().daemon = False  # a worker of a pool may not start processes; this one does
        gc.freeze()  # or each of Lava's processes copies the memory that it shares by looking for garbage in it
        _redirect(output)
        _write(outcome, _answer(work))
        code = 0
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(code)  # the caller's exit handlers are the caller's


def _end_with(parent: int) -> None:
    """Have the kernel kill this process when `parent`, if that is what it is, ends."""
    if PRCTL is not None and os.getppid() == parent:
        PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _redirect(output: int) -> None:
    """What is printed goes to `output`, and nothing is read from the terminal."""
    null = os.open(os.devnull, os.O_RDONLY)
    if null:
        os.dup2(null, 0)
        os.close(null)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 - pytest and Jupyter replace them


def _answer(work: Callable[[], object]) -> bytes:
    try:
        return RESULT + pickle.dumps(work())
    except PumiceError as error:
        return ERROR + str(error).encode(errors="replace")
    except MemoryError:
        return ERROR + b"Lava ran out of memory; run fewer steps at a time, record less, or raise the limit"
    except Exception:
        return ERROR + f"Lava failed:\n{traceback.format_exc()}".encode(errors="replace")


def _write(file: int, data: bytes) -> None:
    """All of it, or an error that the exit code tells."""
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


class _Child:
    """The leader of the group.

    Attributes:
        exit_code: Negative for a signal; `None` before it ended, or if somebody else has asked for it.
    """

    def __init__(self, pid: int) -> None:
        self._pid, self._is_there = pid, True
        self.exit_code: int | None = None
        with contextlib.suppress(OSError):  # the child does the same; whoever is first
            os.setpgid(pid, pid)

    def wait(self, patience: Patience, output: int) -> None:
        while self._collect(os.WNOHANG):
            reason = patience.ended()
            if reason is not None:
                raise BackendError(reason + _tail(output))
            time.sleep(POLL_S)

    def end(self) -> None:
        """Kill what is left of the group, and wait until it is gone."""
        if self._is_there:  # its number belongs to nobody else
            os.kill(self._pid, signal.SIGKILL)
            self._collect(0)
        deadline = _now() + GONE_S  # a container without an init keeps orphans as zombies for ever
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: of zombies
            while _now() < deadline:
                os.killpg(self._pid, signal.SIGKILL)
                time.sleep(POLL_S)

    def _collect(self, options: int) -> bool:
        """Whether it still runs."""
        try:
            pid, status = os.waitpid(self._pid, options)
        except ChildProcessError:
            self._is_there = False
        else:
            self._is_there = not pid
            if pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
        return self._is_there


def _result(data: bytes, exit_code: int | None, output: int) -> Any:
    if exit_code not in (0, None) or not data:
        raise BackendError(f"Lava's process {manner_of_death(exit_code)}" + _tail(output))
    if data[:1] == ERROR:
        raise BackendError(data[1:].decode(errors="replace") + _tail(output))
    return pickle.loads(data[1:])


def _content(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


def _tail(output: int) -> str:
    text = _content(output)[-OUTPUT_TAIL:].decode(errors="replace").strip()
    return f"\nIt printed last:\n{text}" if text else ""
