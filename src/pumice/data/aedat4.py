"""Events from AEDAT 4.0, the files of iniVation's cameras (specification: docs.inivation.com, "AEDAT 4.0").

A line, a header, packets. Each is a FlatBuffers table: `_field` finds in it what is needed, and every offset is
checked, as a file is not to be trusted. Packets may be compressed by LZ4 or Zstandard.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.errors import MissingExtraError

FIRST_LINE = b"#!AER-DAT4.0\r\n"
EVENT = np.dtype(
    {
        "names": ["t", "x", "y", "p"],
        "formats": ["<i8", "<i2", "<i2", "?"],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    }
)
MOST_BYTES = 1 << 28
"""Of one packet: cameras write some thousand events into each."""


def read_aedat4(path: Path) -> tuple[npt.NDArray[Any], ...]:
    """x, y, t in microseconds, p of all events of a file.

    Raises:
        ValueError: The file is damaged, or no AEDAT 4.0.
        MissingExtraError: It is compressed, and the package that decompresses it is not installed.
    """
    found = [np.zeros(0, EVENT), *_event_packets(path.read_bytes())]
    events = np.concatenate(found)
    return events["x"], events["y"], events["t"], events["p"].astype(np.uint8)


def _event_packets(data: bytes) -> Iterator[npt.NDArray[Any]]:
    if not data.startswith(FIRST_LINE):
        raise ValueError("it does not begin as AEDAT 4.0 does")
    at = len(FIRST_LINE)
    size = _number(data, at, "<I")
    header = data[at : at + 4 + size]
    at += 4 + size
    compression, table = _field(header, 0, "<i", 0), _field(header, 1, "<q", -1)
    decompress = _decompressor(compression)
    end = table if table >= 0 else len(data)
    while at < min(end, len(data)):
        size = _number(data, at + 4, "<i")
        packet = data[at + 8 : at + 8 + size]
        if size < 0 or len(packet) < size:
            raise ValueError("its last packet is cut off")
        at += 8 + size
        packet = decompress(packet)
        if packet[8:12] == b"EVTS":
            yield _events(packet)


def _events(packet: bytes) -> npt.NDArray[Any]:
    at = _place(packet, 0)
    if at is None:
        return np.zeros(0, EVENT)
    vector = at + _number(packet, at, "<I")
    n = _number(packet, vector, "<I")
    if vector + 4 + n * EVENT.itemsize > len(packet):
        raise ValueError("a packet holds fewer events than it says")
    return np.frombuffer(packet, EVENT, n, vector + 4)


def _field(table: bytes, index: int, form: str, default: int) -> int:
    """A number of a table that stands behind its own size."""
    at = _place(table, index)
    return default if at is None else _number(table, at, form)


def _place(buffer: bytes, index: int) -> int | None:
    """Where a table's field stands; None if it has its default. The table's list of fields tells."""
    table = 4 + _number(buffer, 4, "<I")
    fields = table - _number(buffer, table, "<i")
    if 4 + 2 * index >= _number(buffer, fields, "<H"):
        return None
    offset = _number(buffer, fields + 4 + 2 * index, "<H")
    return table + offset if offset else None


def _number(buffer: bytes, at: int, form: str) -> int:
    if at < 0 or at + struct.calcsize(form) > len(buffer):
        raise ValueError("it ends too early, or points outside itself")
    number: int = struct.unpack_from(form, buffer, at)[0]
    return number


def _decompressor(compression: int) -> Callable[[bytes], bytes]:
    if compression == 0:
        return lambda packet: packet
    if compression in {1, 2}:
        return _lz4
    if compression in {3, 4}:
        return _zstandard
    raise ValueError(f"its compression {compression} is unknown")


def _lz4(packet: bytes) -> bytes:
    try:
        from lz4 import frame
    except ModuleNotFoundError as error:
        raise MissingExtraError("lz4", "aedat4", "a recording that is compressed by LZ4") from error
    try:
        decompressor = frame.LZ4FrameDecompressor()
        data: bytes = decompressor.decompress(packet, max_length=MOST_BYTES)
    except RuntimeError as error:
        raise ValueError(f"a packet cannot be decompressed: {error}") from error
    if not decompressor.eof:
        raise ValueError("a packet is cut off, or too large")
    return data


def _zstandard(packet: bytes) -> bytes:
    try:
        import zstandard
    except ModuleNotFoundError as error:
        raise MissingExtraError("zstandard", "aedat4", "a recording that is compressed by Zstandard") from error
    try:
        data: bytes = zstandard.ZstdDecompressor().stream_reader(packet).read(MOST_BYTES)
    except zstandard.ZstdError as error:
        raise ValueError(f"a packet cannot be decompressed: {error}") from error
    return data
