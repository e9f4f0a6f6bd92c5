import os

import h5py
import numpy as np
import pytest

from pumice.errors import FileFormatError
from pumice.netx.fields import open_file


@pytest.fixture
def field(tmp_path):
    """Function: write a file with `make(file)`, then give what `read(node)` gives or the error's text."""

    def run(make, read):
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            make(file)
        try:
            with open_file(path) as node:
                return read(node)
        except FileFormatError as error:
            return str(error)

    return run


def data(value, **options):
    return lambda file: file.create_dataset("x", data=value, **options)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize <= 8, reason="no floating-point number is wider here")
def test_numbers_that_a_cast_would_round_are_refused(field):
    wide = np.longdouble(1) + np.longdouble(2) ** -60
    assert "must hold numbers, got float" in field(data(wide), lambda n: n.numbers("x"))


@pytest.mark.parametrize("value", [7, 7.0, np.float32(7), np.array([7], np.uint8), np.array([[7]]), True + 6])
def test_one_integer_in_any_type(field, value):
    assert field(data(value), lambda n: n.integer("x", 0, 9)) == 7


@pytest.mark.parametrize("value", ["dense", np.array([b"dense"]), np.bytes_("dense"), np.array([b"dense"], "S10")])
def test_strings_in_any_type(field, value):
    assert field(data(value), lambda n: n.text("x")) == "dense"


@pytest.mark.parametrize(("value", "pair"), [(3, (3, 3)), ([3], (3, 3)), ([3, 4], (3, 4))])
def test_pairs(field, value, pair):
    assert field(data(value), lambda n: n.pair("x", 0, 9)) == pair


@pytest.mark.parametrize(
    ("make", "read", "text"),
    [
        (data(1.5), lambda n: n.integer("x", 0, 9), "must hold integers, got 1.5"),
        (data(np.nan), lambda n: n.integer("x", 0, 9), "holds NaN"),
        (data(np.inf), lambda n: n.numbers("x"), "holds NaN or infinity"),
        (data(np.uint64(2**63)), lambda n: n.numbers("x"), "out of range"),
        (data(12), lambda n: n.integer("x", 0, 9), "must lie in 0..9, got 12 to 12"),
        (data([1, 2]), lambda n: n.integer("x", 0, 9), "must be one number"),
        (data([1, 2, 3]), lambda n: n.pair("x", 0, 9), "must be one or two numbers"),
        (data("text"), lambda n: n.numbers("x"), "must hold numbers"),
        (data(5), lambda n: n.text("x"), "must be a string"),
        (data(np.array([b"a", b"b"])), lambda n: n.text("x"), "must be one string"),
        (data(np.zeros(0, "S3")), lambda n: n.text("x"), "must be one string, got 0"),
        (data(np.bytes_(b"\xff\xfe")), lambda n: n.text("x"), "is not UTF-8"),
        (data(np.zeros((1,) * 6)), lambda n: n.numbers("x"), "has 6 dimensions"),
        (data(np.zeros(0, complex)), lambda n: n.numbers("x"), "must hold numbers"),
        (data(h5py.Empty("f")), lambda n: n.numbers("x"), "is empty"),
        (data([0, 3]), lambda n: n.shape("x"), "must lie in 1.."),
        (data([2**20, 2**20]), lambda n: n.shape("x"), "values, at most"),
        (data([1] * 6), lambda n: n.shape("x"), "must hold 1 to 5 sizes"),
        (lambda f: f.create_group("x"), lambda n: n.numbers("x"), "must be a dataset"),
        (data(5), lambda n: n.child("x"), "must be a group"),
        (lambda f: None, lambda n: n.numbers("x"), "has no 'x'"),
    ],
)
def test_refused(field, make, read, text):
    message = field(make, read)
    assert text in message
    assert "a.h5:" in message


def put_reference(file):
    file.create_dataset("x", data=file.create_group("g").ref, dtype=h5py.ref_dtype)


def put_virtual(file):
    layout = h5py.VirtualLayout(shape=(4,), dtype="i8")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(4,))
    file.create_virtual_dataset("x", layout)


def put_soft(file):
    file["y"] = 5
    file["x"] = h5py.SoftLink("/y")


def put_linked_file(file):
    file["x"] = h5py.ExternalLink("other.h5", "/x")


def put_external_data(file):
    file.create_dataset("x", (4,), "i8", external=[("other.bin", 0, 32)])


def put_unwritten(file):
    file.create_dataset("x", (4,), "i8")


def put_huge(file):
    file.create_dataset("x", (2**40,), "i8", chunks=(2**10,))


def put_huge_chunk(file):
    file.create_dataset("x", (8,), "u1", chunks=(2**28,), maxshape=(None,), compression="gzip")


def put_bomb(file):
    x = file.create_dataset("x", (2**27,), "i8", chunks=(2**16,), compression="gzip")
    x[: 2**16] = 0


def put_compound(file):
    file.create_dataset("x", data=np.zeros(2, [("a", int), ("b", float)]))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (put_reference, "must hold numbers"),
        (put_compound, "must hold numbers"),
        (put_virtual, "from another file"),
        (put_soft, "is a link"),
        (put_linked_file, "is a link"),
        (put_external_data, "from another file"),
        (put_unwritten, "does not hold them"),
        (put_huge, "values, at most"),
        (put_huge_chunk, "values, at most"),
        (put_bomb, "compression is refused"),
    ],
)
def test_files_that_mean_harm(field, make, text):
    assert text in field(make, lambda n: n.numbers("x"))


def test_unknown_filters_are_refused(field):
    codes = [h5py.h5z.FILTER_SCALEOFFSET]
    assert h5py.h5z.filter_avail(codes[0])
    found = field(data(np.arange(9), scaleoffset=0, chunks=(9,)), lambda n: n.numbers("x"))
    assert "uses HDF5 filter 6" in found


def test_compressed_fields_are_read(field):
    x = np.arange(5000) % 7
    got = field(data(x, compression="gzip", shuffle=True, fletcher32=True), lambda n: n.numbers("x"))
    np.testing.assert_array_equal(got, x)


def test_attributes(field):
    def make(file):
        file.attrs["version"] = 3
        file.attrs["text"] = "three"

    assert field(make, lambda n: (n.attribute("version"), n.attribute("none"))) == (3, None)
    assert "must be one integer" in field(make, lambda n: n.attribute("text"))


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(90)])
def test_what_is_no_hdf5_file(tmp_path, content):
    path = tmp_path / "a.net"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"a\.net"), open_file(path):
        pass


@pytest.mark.skipif("HDF5_USE_FILE_LOCKING" in os.environ, reason="HDF5 is told how to lock files")
def test_a_file_that_another_program_writes_to_is_not_called_damaged(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    h5py.File(tmp_path / "a.h5", "w").close()
    with (tmp_path / "a.h5").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(FileFormatError, match=r"a\.h5: another program is writing to it; close it there"):
            open_file(tmp_path / "a.h5").__enter__()
    with open_file(tmp_path / "a.h5") as node:
        assert node.names() == []


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileFormatError, match="No such file"), open_file(tmp_path / "none.net"):
        pass
    with pytest.raises(FileFormatError, match="directory"), open_file(tmp_path):
        pass
