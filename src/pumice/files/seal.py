"""A digest behind the content of a file: whatever bit changes at rest is found when the file is read.

The seal is the last 48 bytes: `MAGIC`, then SHA-256 of all bytes before the seal. Neither HDF5 nor zip readers look
behind the end that their format states (in a zip file the seal is the archive's comment), so that other tools read
sealed files as they are; those that write to them drop the seal. It protects from accidents, not from forgers.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pumice.errors import FileFormatError

MAGIC = b"\npumice-sha256:\n"
SEAL_BYTES = len(MAGIC) + hashlib.sha256().digest_size
CHUNK = 1 << 20
HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"
_ZIP_END, _ZIP_END_BYTES = b"PK\x05\x06", 22
_HDF5_END = {0: 40, 1: 44, 2: 28, 3: 28}
"""Version of the superblock -> where the address of the file's end stands, 8 bytes."""


def sealed(content: bytes) -> bytes:
    """The content of a file with its seal.

    Args:
        content: Of an HDF5 file, or of a zip file without a comment.

    Example:
        >>> len(sealed(b"content"))
        55
    """
    if content[-_ZIP_END_BYTES:].startswith(_ZIP_END) and content.startswith(ZIP):
        content = content[:-2] + struct.pack("<H", SEAL_BYTES)
    return content + MAGIC + hashlib.sha256(content).digest()


def check_seal(path: Path) -> bool:
    """Whether a file has a seal, and it is right. Files without one are of older versions, or of other tools.

    Raises:
        FileFormatError: The content is not what was sealed, or the seal itself is damaged or cut off.
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if size >= SEAL_BYTES:
            file.seek(size - SEAL_BYTES)
            tail = file.read(SEAL_BYTES)
            if tail.startswith(MAGIC):
                if _digest(file, size - SEAL_BYTES) != tail[len(MAGIC) :]:
                    raise FileFormatError(
                        f"{path}: was damaged after pumice wrote it: its content has not the digest that stands at "
                        "its end; take a copy that is whole"
                    )
                return True
        if _had_seal(file, size):
            raise FileFormatError(f"{path}: the digest at its end is damaged or cut off; take a copy that is whole")
    return False


def _digest(file: BinaryIO, n_bytes: int) -> bytes:
    sha = hashlib.sha256()
    file.seek(0)
    for chunk in _chunks(file, n_bytes):
        sha.update(chunk)
    return sha.digest()


def _chunks(file: BinaryIO, n_bytes: int) -> Iterator[bytes]:
    while n_bytes > 0 and (chunk := file.read(min(CHUNK, n_bytes))):
        n_bytes -= len(chunk)
        yield chunk


def _had_seal(file: BinaryIO, size: int) -> bool:
    """Whether what stands behind the format's own end is what is left of a seal."""
    file.seek(0)
    head = file.read(64)
    if head.startswith(HDF5):
        at = _HDF5_END.get(head[8], 0)
        behind = size - struct.unpack("<Q", head[at : at + 8])[0] if at and len(head) == 64 else 0
        if not 0 < behind <= SEAL_BYTES:
            return False
        file.seek(size - behind)
        return behind == SEAL_BYTES or MAGIC.startswith(file.read(behind)[: len(MAGIC)])
    if head.startswith(ZIP):
        file.seek(max(0, size - SEAL_BYTES - _ZIP_END_BYTES))
        tail = file.read()
        place = tail.rfind(_ZIP_END)
        end = tail[place : place + _ZIP_END_BYTES] if place >= 0 else b""
        if len(end) < _ZIP_END_BYTES:
            return False
        stated, behind = struct.unpack("<H", end[-2:])[0], len(tail) - place - _ZIP_END_BYTES
        return bool(stated != behind or behind == SEAL_BYTES)
    return False
