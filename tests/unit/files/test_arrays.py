import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from pumice.errors import FileFormatError, InputError, PumiceError
from pumice.files.arrays import map_npy, names_in_npz, read_npy, read_npz
from pumice.files.limits import limited


def npy(header, data=b""):
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header) + 1) + header.encode() + b"\n" + data


def saved(**arrays):
    held = io.BytesIO()
    np.savez_compressed(held, **arrays)
    return held.getvalue()


ARRAYS = {
    "a": np.arange(12, dtype=np.int16).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "scalar": np.float32(2.5),
    "empty": np.zeros((0, 3), np.uint8),
    "texts": np.array(["ab", "c"]),
    "flags": np.array([True, False]),
    "big_endian": np.arange(3, dtype=">i8"),
}


def test_what_numpy_writes_is_read(tmp_path):
    for name, write in (("a.npz", np.savez), ("b.npz", np.savez_compressed)):
        write(tmp_path / name, **ARRAYS)
        assert names_in_npz(tmp_path / name) == {*ARRAYS}
        for array, got in zip(ARRAYS.values(), read_npz(tmp_path / name, ARRAYS), strict=True):
            np.testing.assert_array_equal(got, array)
            assert got.dtype == np.asarray(array).dtype
    for array in ARRAYS.values():
        np.save(tmp_path / "a.npy", array)
        for read in (read_npy, map_npy):
            np.testing.assert_array_equal(read(tmp_path / "a.npy"), array)


HEADERS = {
    "cut off": "{'descr': '<i4', 'shape': (4, 4, ",
    "of minus signs": "-" * 9000 + "1",
    "of 40 digits": f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({'9' * 40}, 4), }}",
    "of 4 TB": "{'descr': '|i1', 'fortran_order': False, 'shape': (1000000000000, 4), }",
    "of a negative size": "{'descr': '|i1', 'fortran_order': False, 'shape': (-4,), }",
    "of a type of no size": "{'descr': '|S0', 'fortran_order': False, 'shape': (99999999999999999999,), }",
    "of objects": "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    "of fields": "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,), }",
    "of code": "__import__('os').system('true')",
    "of nothing": "",
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_mean_harm(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", npy(HEADERS[name], bytes(16)))
    (tmp_path / "a.npy").write_bytes(npy(HEADERS[name], bytes(16)))
    tracemalloc.start()
    try:
        for read in (
            lambda: read_npz(tmp_path / "a.npz", ["x"]),
            lambda: read_npy(tmp_path / "a.npy"),
            lambda: map_npy(tmp_path / "a.npy"),
        ):
            with pytest.raises(InputError, match=r"a\.np[yz]: is not .*, or is damaged"):
                read()
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_archives_that_mean_harm(tmp_path):
    whole = saved(x=np.arange(50), y=np.arange(50))
    for local, value, text in ((6, 1, "encrypted"), (8, 99, "compressed in a way")):
        data = bytearray(whole)
        for mark, shift in ((b"PK\3\4", 0), (b"PK\1\2", 2)):
            data[data.find(mark) + local + shift] = value
        (tmp_path / "a.npz").write_bytes(data)
        with pytest.raises(InputError, match=text):
            read_npz(tmp_path / "a.npz", ["x"])
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x", b"text")
    with pytest.raises(InputError, match=r"is not an \.npz archive of arrays"):
        read_npz(tmp_path / "a.npz", ["x"])
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", b"text")
        archive.writestr("x", b"text")
    with pytest.raises(InputError, match="two members 'x'"):
        names_in_npz(tmp_path / "a.npz")


def test_all_arrays_together_have_a_budget(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", **{name: np.zeros(1 << 16) for name in "abcd"})
    with limited(read_bytes=1 << 20):
        assert len(read_npz(tmp_path / "a.npz", "ab")) == 2
        with pytest.raises(FileFormatError, match="with c it asks for"):
            read_npz(tmp_path / "a.npz", "abcd")


def test_what_is_missing_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", x=1)
    with pytest.raises(InputError, match=r"a\.npz: must hold the arrays 'x' and 'y'; there is no 'y'"):
        read_npz(tmp_path / "a.npz", ["x", "y"])
    np.save(tmp_path / "a.npy", 1)
    with pytest.raises(InputError, match=r"is a \.npy file with one array"):
        read_npz(tmp_path / "a.npy", ["x"])
    with pytest.raises(InputError, match="is an archive"):
        read_npy(tmp_path / "a.npz")


def test_random_damage(tmp_path):
    """Right arrays or our error: the archive's checksums find what was flipped."""
    rng = np.random.default_rng(3)
    arrays = {"x": rng.integers(0, 9, (40, 3)), "y": np.arange(40)}
    whole = saved(**arrays)
    refused = 0
    for trial in range(300):
        data = bytearray(whole)
        if trial % 3:
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        else:
            del data[int(rng.integers(len(data))) :]
        (tmp_path / "a.npz").write_bytes(data)
        try:
            got = read_npz(tmp_path / "a.npz", arrays)
        except PumiceError:
            refused += 1
            continue
        assert all(np.array_equal(a, b) for a, b in zip(got, arrays.values(), strict=True))
    assert refused > 150
