"""A study on disk: Optuna's journal, a line for each change, that any number of processes may add to."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, BinaryIO

from pumice.errors import InputError

BLOCK = 1 << 16


class Journal:
    """What Optuna stores a study with: its own file, whose last line a full disk or a loss of power may have cut off.

    Args:
        path: The file; it is made if need be.
        optuna: The package.

    Raises:
        InputError: It cannot be read or written, or is damaged.
    """

    def __init__(self, path: Path, optuna: Any) -> None:
        # Optuna's lock is a link to what it is given. One that leads nowhere is waited for without end when its
        # process is dead, and a relative path leads nowhere from within a folder.
        self._path = path.absolute()
        self._lock = optuna.storages.journal.JournalFileSymlinkLock(str(self._path))
        try:
            self._file = optuna.storages.journal.JournalFileBackend(str(self._path), self._lock)
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written ({error.strerror or error})") from error

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """What was added from a line on."""
        try:
            yield from self._file.read_logs(log_number_from)
        except OSError as error:
            raise InputError(f"{self._path}: cannot be read ({error.strerror or error})") from error
        except ValueError as error:
            raise damaged(self._path) from error

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add lines."""
        data = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        try:
            self._lock.acquire()
            try:
                with self._path.open("r+b") as file:
                    file.seek(_end_of_lines(file))
                    file.truncate()
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            finally:
                self._lock.release()
        except (OSError, RuntimeError) as error:  # Optuna's of a lock that another process took from a stalled one
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"{self._path}: cannot be written ({reason}); the same command goes on from there"
            ) from error


def damaged(path: Path) -> InputError:
    """The error of a journal that was not written so."""
    return InputError(f"{path}: the study is damaged; choose another --output, or bring the file back from a copy")


def _end_of_lines(file: BinaryIO) -> int:
    """Where the last whole line ends."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - BLOCK)
        file.seek(start)
        if found := file.read(end - start).rfind(b"\n") + 1:
            return start + found
        end = start
    return 0
