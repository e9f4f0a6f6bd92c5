"""Files that are either whole or not there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pumice.errors import InputError


@contextmanager
def replace_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, that file takes the place of `path`.

    If the block raises, the temporary file is removed and `path` is left as it was. Each thread of each process
    has a temporary file of its own: of several at once, one whole file wins.

    Args:
        path: The file to write.

    Raises:
        InputError: The folder does not exist or cannot be written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replace_atomically(Path(folder) / "note.txt") as temporary:
        ...         _ = temporary.write_text("done")
        ...     [p.name for p in Path(folder).iterdir()]
        ['note.txt']
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.tmp")
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
