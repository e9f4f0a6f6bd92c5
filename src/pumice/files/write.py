"""Files that are either whole or not there."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from pumice.errors import InputError
from pumice.files.paths import possible_path

LONGEST_NAME = 100
"""Of a temporary file's name, so many letters are its target's: file systems allow 255 bytes for all of it."""


def temporary_beside(path: Path) -> Path:
    """A hidden name in the same folder that no other thread, process or host writes to.

    Example:
        >>> temporary_beside(Path("a") / "b.net").parent, temporary_beside(Path("b")) == temporary_beside(Path("b"))
        (PosixPath('a'), False)
    """
    host = "".join(c for c in socket.gethostname() if c.isalnum())[:20]
    owner = f"{host}-{os.getpid()}-{threading.get_ident()}-{secrets.token_hex(4)}"
    return path.with_name(f".{path.name[:LONGEST_NAME]}.{owner}.tmp")


def remove_left_over(path: Path) -> None:
    """Remove temporary files of `path` that a killed process left; whoever calls it must be the only writer."""
    for left_over in path.parent.glob(f".{escape(path.name[:LONGEST_NAME])}.*.tmp"):
        with suppress(OSError):
            left_over.unlink(missing_ok=True)


@contextmanager
def replace_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, that file takes the place of `path`.

    If the block raises, the temporary file is removed and `path` is left as it was. Each thread of each process on
    each host has a temporary file of its own: of several at once, one whole file wins.

    Args:
        path: The file to write.

    Raises:
        InputError: It is no path, or its folder does not exist or cannot be written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replace_atomically(Path(folder) / "note.txt") as temporary:
        ...         _ = temporary.write_text("done")
        ...     [p.name for p in Path(folder).iterdir()]
        ['note.txt']
    """
    target = possible_path(path)
    temporary = temporary_beside(target)
    try:
        yield temporary
        sync_file(temporary)
        temporary.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):  # never hides why nothing was written
            temporary.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk.

    Args:
        path: A file that was written and closed.

    Raises:
        OSError: It is not there, may not be written, or the disk fails.
    """
    # Open for writing, though nothing is written: Windows syncs no other handle.
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a folder's list of names is on the disk, so that a renamed file keeps its new name.

    Windows opens no folders and some file systems do not sync them; there the names are on the disk a little later.

    Args:
        folder: What holds the file.
    """
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_bytes(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write a file whose content is in memory: the file is the new one, whole, or the old one.

    Libraries that write files themselves report a full disk late, without its reason, or on stderr; what they make is
    written by this function instead.

    Raises:
        InputError: It cannot be written.
    """
    with replace_atomically(path) as temporary:
        temporary.write_bytes(data)
