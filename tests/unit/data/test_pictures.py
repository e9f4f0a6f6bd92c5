import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pumice.data.pictures import open_picture
from pumice.errors import InputError


def png(kind, bits):
    """Of 2 x 2 pixels; kind as in the format's header."""
    values = {0: 1, 2: 3, 4: 2, 6: 4}[kind] * 2 * bits // 8
    rows = b"".join(b"\0" + bytes(range(values)) for _ in range(2))
    header = struct.pack(">IIBBBBB", 2, 2, bits, kind, 0, 0, 0)
    found = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        found += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return found


def ppm(kind, most):
    return b"%s\n2 2\n%d\n" % (kind, most) + bytes(24)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", png(2, 16)),
        ("a.png", png(6, 16)),
        ("a.png", png(4, 16)),
        ("a.ppm", ppm(b"P6", 65535)),
        ("a.ppm", b"P3\n2 2\n999\n" + b"9 " * 12),
    ],
    ids=range(5),
)
def test_colours_of_16_bits_are_not_cut_to_8(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=r"colours of 16 bits, of which Pillow reads 8; save it with 8"):
        open_picture(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", png(2, 8)),
        ("a.png", png(6, 8)),
        ("a.png", png(0, 8)),
        ("a.png", png(0, 16)),
        ("a.ppm", ppm(b"P6", 255)),
        ("a.ppm", ppm(b"P6", 15)),
        ("a.pgm", ppm(b"P5", 255)),
        ("a.pgm", ppm(b"P5", 65535)),
        ("a.ppm", b"P1\n2 2\n0 1 1 0\n"),
        ("a.ppm", b"P4\n2 2\n\0\0"),
        ("a.ppm", b"P3\n2 2\n255\n" + b"1 " * 12),
    ],
)
def test_what_pillow_reads_whole_is_read(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert open_picture(tmp_path / name)[0].size == (2, 2)


@pytest.mark.parametrize("name", ["a.bmp", "a.tif", "a.gif", "a.jpg", "a.webp"])
def test_other_formats_are_read(tmp_path, name):
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / name)
    assert open_picture(tmp_path / name)[0].size == (2, 2)
