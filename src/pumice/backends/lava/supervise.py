"""Do work in a child process group that is gone afterwards, whatever happens in it or here."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pumice.errors import BackendError, PumiceError

POLL_S = 0.2
GRACE_S = 5.0
OUTPUT_TAIL = 2000


def supervise(work: Callable[[], None], progress: npt.NDArray[np.int64], stall_timeout_s: float) -> None:
    """Run `work` in a forked process group and wait for it.

    Args:
        work: Called in the child; results go through shared memory.
        progress: Shared memory, one integer; whenever it changes, the clock starts anew.
        stall_timeout_s: Longest time without progress.

    Raises:
        BackendError: The work raised (its traceback is in the message), died, or made no progress.
    """
    if sys.platform == "win32":
        raise BackendError("Lava's runtime needs fork, which Windows does not have; use Linux (WSL) or macOS")
    resource_tracker.ensure_running()  # ours, so that it outlives the group and frees what a killed one leaves
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    with tempfile.TemporaryFile() as output, receiver:
        child = fork.Process(target=_child, args=(work, sender, output.fileno()), name="pumice-lava")
        child.start()
        sender.close()
        try:
            with contextlib.suppress(OSError):  # the child does the same; whoever is first
                os.setpgid(child.pid or 0, child.pid or 0)
            _wait(child, receiver, progress, stall_timeout_s, output)
        finally:
            _end(child)


def _child(work: Callable[[], None], sender: Connection, output: int) -> None:
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, _exit_on_signal)
    multiprocessing.set_start_method("fork", force=True)  # what Lava needs, whatever the caller has chosen
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.stdout = sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 - pytest and Jupyter replace them
    try:
        work()
        sender.send(None)
    except PumiceError as error:
        sender.send(str(error))
    except Exception:
        sender.send(f"Lava failed:\n{traceback.format_exc()}")


def _exit_on_signal(*_: Any) -> None:
    raise SystemExit(1)  # runs the `finally` blocks of the work


def _wait(
    child: multiprocessing.process.BaseProcess,
    receiver: Connection,
    progress: npt.NDArray[np.int64],
    stall_timeout_s: float,
    output: BinaryIO,
) -> None:
    for idle_s in _idle_times(progress):
        if wait([receiver, child.sentinel], timeout=POLL_S):
            break
        if idle_s > stall_timeout_s:
            raise BackendError(
                f"Lava made no progress for {stall_timeout_s:g} s after {int(progress[0])} time steps, so it was "
                f"stopped; a slow network needs LavaBackend(stall_timeout_s=...)" + _tail(output)
            )
    try:
        message = receiver.recv()
    except EOFError:
        child.join()
        raise BackendError(f"Lava's process died with exit code {child.exitcode}" + _tail(output)) from None
    if message is not None:
        raise BackendError(message + _tail(output))


def _idle_times(progress: npt.NDArray[np.int64]) -> Iterator[float]:
    """Seconds since the progress last changed, for ever."""
    last, since = int(progress[0]), time.monotonic()
    while True:
        if int(progress[0]) != last:
            last, since = int(progress[0]), time.monotonic()
        yield time.monotonic() - since


def _tail(output: BinaryIO) -> str:
    output.seek(0)
    text = output.read()[-OUTPUT_TAIL:].decode(errors="replace").strip()
    return f"\nIt printed last:\n{text}" if text else ""


def _end(child: multiprocessing.process.BaseProcess) -> None:
    """Ask the child to clean up, then kill what is left of its group."""
    pid = child.pid
    assert pid is not None
    if child.is_alive():
        child.terminate()
        wait([child.sentinel], timeout=GRACE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    child.join()
    child.close()
