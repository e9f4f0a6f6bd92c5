"""Files in tar archives: found once, front to back, and then read from where they lie, in any order."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pumice.errors import InputError
from pumice.files.reading import file_size, reading, shown
from pumice.files.text import MAX_NAME

LARGEST_HEADER = 1 << 13
"""Of a member's long name and attributes; a hostile archive declares gigabytes of them."""
_TAR = "an uncompressed tar archive"


@dataclass(frozen=True)
class Archive:
    """An archive as it was when its members were found.

    Attributes:
        path: Where it is.
        size: In bytes.
        changed_ns: When it was last written to, in nanoseconds.
    """

    path: Path
    size: int
    changed_ns: int

    @classmethod
    def found(cls, path: Path) -> Archive:
        """The archive as it is now.

        Raises:
            InputError: It is not there, or no file.
        """
        with reading(path, _TAR, InputError):
            return cls(path, file_size(path), path.stat().st_mtime_ns)


@dataclass(frozen=True)
class TarMember:
    """A file in an archive.

    Attributes:
        archive: The archive.
        name: What the archive calls it: for messages, never a path.
        offset: Where in the archive it begins.
        size: In bytes.
    """

    archive: Archive
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.archive.path}, {self.name}"

    def read(self) -> bytes:
        """The file's content.

        Raises:
            InputError: The archive is not there, or is another one by now.
        """
        with reading(self, _TAR, InputError), self.archive.path.open("rb") as file:
            now = os.fstat(file.fileno())
            if (now.st_size, now.st_mtime_ns) != (self.archive.size, self.archive.changed_ns):
                raise InputError(f"{shown(self.archive.path)}: was changed while it was in use; start again")
            file.seek(self.offset)
            return file.read(self.size)


class _Headers(io.FileIO):
    """What `tarfile` reads by: it believes the sizes that headers declare of themselves."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= LARGEST_HEADER:
            raise ValueError(f"a header has {size} bytes, and may have {LARGEST_HEADER}")
        return super().read(size) or b""


def tar_members(archive: Archive) -> Iterator[TarMember]:
    """The files of a tar archive, in its order; folders are left out.

    Args:
        archive: Not compressed: members are read from where they lie.

    Raises:
        InputError: It is no such archive, is damaged or cut off, or holds links, devices, or names of more than
            256 characters or of those that cannot be shown.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.tar"
        >>> with tarfile.open(path, "w") as tar:
        ...     info = tarfile.TarInfo("0.cls")
        ...     info.size = 2
        ...     tar.addfile(info, io.BytesIO(b"17"))
        >>> [(member.name, member.read()) for member in tar_members(Archive.found(path))]
        [('0.cls', b'17')]
    """
    path = archive.path
    with reading(path, _TAR, InputError), _Headers(path) as file:
        end = 0
        with tarfile.TarFile(fileobj=file, encoding="utf-8") as tar:  # of an open file it does not show the name
            while (info := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it would keep them all
                if info.size < 0 or not end < info.offset_data + info.size <= archive.size:
                    raise InputError(f"{shown(path)}: is damaged, or cut off: a member's place is beyond its end")
                end = info.offset_data + info.size
                if (name := _kept(path, info)) is not None:
                    yield TarMember(archive, name, info.offset_data, info.size)
        _check_end(file, end)


def _kept(path: Path, info: tarfile.TarInfo) -> str | None:
    """A file's name, None for a folder."""
    if len(info.name) > MAX_NAME or not info.name.isprintable():
        raise InputError(
            f"{shown(path)}: a member's name must have up to {MAX_NAME} printable characters, got "
            f"{info.name[:MAX_NAME]!r}"
        )
    if info.isdir():
        return None
    if not info.isreg() or info.issparse():
        raise InputError(
            f"{shown(path)}, {info.name}: is a link, a device or a file with holes; store files themselves "
            "(tar --hard-dereference --dereference)"
        )
    return info.name


def _check_end(file: _Headers, end: int) -> None:
    """`tarfile` takes whatever is no header for the archive's end; that is a block of zeros, and nothing behind it.

    Raises:
        ValueError: It is not.
    """
    file.seek(-(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE or any(block):
        raise ValueError(f"behind its first {end:,} bytes there is neither a member nor its end")
    while block := file.read(LARGEST_HEADER):
        if any(block):
            raise ValueError("holds more behind its end, as if two archives were joined")
