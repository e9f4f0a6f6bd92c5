"""Files are written here as the specification says, by hand."""

import struct
import sys
from contextlib import suppress

import numpy as np
import pytest

from pumice.data.event_files import read_events
from pumice.errors import InputError

FIRST_LINE = b"#!AER-DAT4.0\r\n"
EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?"), ("padding", "V3")])


def table(identifier, fields, behind=b""):
    """A FlatBuffers table behind its size: list of fields, then the table; `fields` are (format, value) or None."""
    places, body = [], b""
    for field in fields:
        if field is None:
            places.append(0)
            continue
        form, value = field
        body += bytes(-(len(body) + 4) % struct.calcsize(form))
        places.append(4 + len(body))
        body += struct.pack(form, value)
    listed = struct.pack(f"<HH{len(places)}H", 4 + 2 * len(places), 4 + len(body), *places)
    listed += bytes(-(len(listed) + 8) % 8)
    root = 8 + len(listed)
    data = struct.pack("<I4s", root, identifier) + listed + struct.pack("<i", len(listed)) + body + behind
    return struct.pack("<I", len(data)) + data


def event_packet(events):
    """The vector stands behind the table, its elements at a multiple of 8."""
    return table(b"EVTS", [("<I", 8)], bytes(4) + struct.pack("<I", len(events)) + events.tobytes())


def aedat4(packets, compression=0, data_table=None):
    """A whole file; packets are (stream, bytes)."""
    header = table(b"IOHE", [("<i", compression), data_table and ("<q", data_table)])
    return FIRST_LINE + header + b"".join(struct.pack("<ii", s, len(p)) + p for s, p in packets)


@pytest.fixture
def events(rng):
    found = np.zeros(50, EVENT)
    found["t"] = 1_700_000_000_000_000 + np.sort(rng.integers(0, 10_000, 50))
    found["x"], found["y"], found["p"] = rng.integers(0, 640, 50), rng.integers(0, 480, 50), rng.integers(0, 2, 50)
    return found


def expected(events):
    return [(int(e["x"]), int(e["y"]), int(e["t"]), int(e["p"])) for e in events]


COMPRESSIONS = {0: None, 1: "lz4.frame", 2: "lz4.frame", 3: "zstandard", 4: "zstandard"}


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_events_of_all_packets_in_their_order(events, tmp_path, compression):
    compress = bytes
    if COMPRESSIONS[compression] is not None:
        compress = pytest.importorskip(COMPRESSIONS[compression]).compress
    packets = [(0, event_packet(events[:20])), (1, table(b"IMUS", [None])), (0, event_packet(events[20:]))]
    path = tmp_path / "a.aedat4"
    path.write_bytes(aedat4([(s, compress(p)) for s, p in packets], compression))
    assert read_events(path).tolist() == expected(events)


def test_the_table_at_the_end_is_no_packet(events, tmp_path):
    path = tmp_path / "a.aedat4"
    whole = aedat4([(0, event_packet(events))], data_table=1 << 40)
    end = len(whole)
    path.write_bytes(aedat4([(0, event_packet(events))], data_table=end) + b"FTAB, whatever is in it")
    assert read_events(path).tolist() == expected(events)


def test_no_events(tmp_path):
    (tmp_path / "a.aedat4").write_bytes(aedat4([(0, table(b"EVTS", [None]))]))
    assert read_events(tmp_path / "a.aedat4").tolist() == []


def test_each_file_that_is_cut_off_is_refused_or_ends_between_packets(events, tmp_path):
    whole = aedat4([(0, event_packet(events[:2])), (0, event_packet(events[2:4]))])
    path, read = tmp_path / "a.aedat4", []
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with suppress(InputError):
            read.append(len(read_events(path)))
    assert read == [0, 2]


def test_damaged_bytes_never_raise_anything_else(events, tmp_path, rng):
    whole = aedat4([(0, event_packet(events[:3]))])
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        (tmp_path / "a.aedat4").write_bytes(damaged)
        with suppress(InputError):
            read_events(tmp_path / "a.aedat4")


def test_more_events_than_there_are(events, tmp_path):
    packet = event_packet(events[:3])
    count = packet.index(struct.pack("<I", 3) + events[:1].tobytes())
    (tmp_path / "a.aedat4").write_bytes(aedat4([(0, packet[:count] + struct.pack("<I", 4) + packet[count + 4 :])]))
    with pytest.raises(InputError, match="a packet holds fewer events than it says"):
        read_events(tmp_path / "a.aedat4")


@pytest.mark.parametrize(("compression", "package"), [(1, "lz4"), (3, "zstandard")])
def test_without_the_package_that_decompresses(events, tmp_path, monkeypatch, compression, package):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "a.aedat4").write_bytes(aedat4([(0, b"x")], compression))
    with pytest.raises(ImportError, match=rf"{package}.*pumice\[aedat4\]"):
        read_events(tmp_path / "a.aedat4")
