"""One writer for a folder: a lock that names its holder, and that a dead process does not leave for ever."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pumice.errors import InputError
from pumice.files.paths import possible_path
from pumice.files.write import temporary_beside

NAME = ".pumice-lock"
"""The lock's file: JSON with host, pid, when the process began (as its system counts) and when the lock was taken."""
_ATTEMPTS = 5
_LARGEST = 1000


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold a folder's lock within the context. The folder is made if need be, and removed again if it stays empty.

    A lock whose process, on this host, has ended is taken over. One of another host is not: whether its process lives
    cannot be seen from here.

    Args:
        folder: Where several files are written that belong together.

    Raises:
        InputError: Another process holds it (the message says which), or the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, locked_folder(Path(folder)):
        ...     with locked_folder(Path(folder)):
        ...         pass
        Traceback (most recent call last):
        ...
        pumice.errors.InputError: ...: is in use by process ... on ..., since ...; wait for it, or choose ...
    """
    missing = [place for place in (possible_path(folder), *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _take(folder / NAME)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror or error})") from error
    try:
        yield
    finally:
        with suppress(OSError):
            if _is_own(folder / NAME):
                (folder / NAME).unlink()
            for place in missing:
                place.rmdir()  # fails, and ends this, where there is something in it


def _take(path: Path) -> None:
    """Make the lock's file; of several processes, one can."""
    for _ in range(_ATTEMPTS):
        mine = temporary_beside(path)
        try:
            mine.write_text(json.dumps(_self()), encoding="utf-8")
            _put(mine, path)
            return
        except FileExistsError:
            holder = _holder(path)
            if holder is None:  # it has gone meanwhile
                continue
            if _lives(holder):
                raise InputError(
                    f"{path.parent}: is in use by process {holder['pid']} on {holder['host']}, since "
                    f"{holder['since']}; wait for it, or choose another folder"
                    + ("" if holder["host"] == socket.gethostname() else f" (if it has ended, delete {path.name})")
                ) from None
            _remove_stale(path)
        finally:
            with suppress(OSError):
                mine.unlink(missing_ok=True)
    raise InputError(f"{path.parent}: other processes take its lock in turn; choose another folder")


def _put(mine: Path, path: Path) -> None:
    """Give a file that is whole its name, if nobody has that name.

    Raises:
        FileExistsError: Somebody has.
    """
    try:
        os.link(mine, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        with path.open("x", encoding="utf-8") as file:
            file.write(mine.read_text(encoding="utf-8"))


def _remove_stale(path: Path) -> None:
    """Move a dead process's lock away. If another process was faster, it is that one's lock: it is put back."""
    aside = temporary_beside(path)
    with suppress(FileNotFoundError):
        path.rename(aside)
        moved = _holder(aside)
        if moved is not None and _lives(moved):
            with suppress(FileExistsError):
                _put(aside, path)
        aside.unlink(missing_ok=True)


def _self() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "began": _began(os.getpid()),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def _holder(path: Path) -> dict[str, Any] | None:
    """Who holds a lock; None if it is gone. What cannot be read was left by a loss of power: nobody's."""
    try:
        with path.open(encoding="utf-8") as file:
            found = json.loads(file.read(_LARGEST))
        holder = {"host": str(found["host"]), "pid": int(found["pid"]), "since": str(found["since"])}
        return {**holder, "began": found.get("began")}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {"host": socket.gethostname(), "pid": 0, "began": None, "since": ""}


def _is_own(path: Path) -> bool:
    holder = _holder(path)
    return holder is not None and (holder["host"], holder["pid"]) == (socket.gethostname(), os.getpid())


def _lives(holder: dict[str, Any]) -> bool:
    """Whether a lock's process still runs, as far as can be seen."""
    if holder["host"] != socket.gethostname():
        return True
    if holder["pid"] <= 0:
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, which lives
        return True
    began = _began(holder["pid"])
    # A number is given again once its process has ended; a process that only waits to be reaped has no time.
    return began == holder["began"] if began is not None else holder["began"] is None


def _began(pid: int) -> str | None:
    """When a process began, as Linux counts; None elsewhere, and of one that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[0] in ("Z", "X") else fields[19]
    except (OSError, IndexError):
        return None
