import io
import zipfile

import h5py
import numpy as np
import pytest

from pumice.errors import FileFormatError
from pumice.files.seal import MAGIC, SEAL_BYTES, check_seal, sealed


def hdf5(libver="earliest"):
    held = io.BytesIO()
    with h5py.File(held, "w", libver=libver) as file:
        file["a"] = np.arange(40)
    return held.getvalue()


def archive(comment=b""):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("a", b"content " * 9)
        file.comment = comment
    return held.getvalue()


FORMATS = {"HDF5": hdf5, "HDF5 of today": lambda: hdf5("latest"), "zip": archive}


@pytest.fixture(params=sorted(FORMATS))
def content(request):
    return FORMATS[request.param]()


def is_sealed(tmp_path, data):
    (tmp_path / "file").write_bytes(data)
    return check_seal(tmp_path / "file")


def test_what_is_sealed_is_whole(tmp_path, content):
    assert is_sealed(tmp_path, sealed(content))
    assert len(sealed(content)) == len(content) + SEAL_BYTES


def test_files_without_a_seal_are_left_to_their_readers(tmp_path, content):
    assert not is_sealed(tmp_path, content)
    assert not is_sealed(tmp_path, content[: len(content) // 2])
    assert not is_sealed(tmp_path, archive(b"a comment of somebody else's"))
    assert not is_sealed(tmp_path, b"")
    assert not is_sealed(tmp_path, b"text" * 100)


def test_every_bit_counts(tmp_path, content):
    """Of the file's head, of the seal, and of the format's own end most bits, and every 211th of the rest."""
    whole = sealed(content)
    ends = range(8 * (len(whole) - SEAL_BYTES - 30), 8 * len(whole), 3)
    for place in {*range(0, 8 * len(whole), 211), *range(0, 8 * 64, 5), *ends}:
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        (tmp_path / "file").write_bytes(data)
        with pytest.raises(FileFormatError, match="take a copy that is whole"):
            pytest.fail(f"bit {place} is not noticed: {check_seal(tmp_path / 'file')}")


def test_a_seal_that_is_cut_off_is_noticed(tmp_path, content):
    whole = sealed(content)
    for missing in range(1, SEAL_BYTES):
        with pytest.raises(FileFormatError):
            is_sealed(tmp_path, whole[:-missing])


def test_readers_of_the_formats_read_sealed_files(tmp_path):
    (tmp_path / "a.h5").write_bytes(sealed(hdf5()))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["a"][39] == 39
    (tmp_path / "a.zip").write_bytes(sealed(archive()))
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert file.testzip() is None
        assert file.comment.startswith(MAGIC)


def test_who_writes_to_a_file_drops_its_seal(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(sealed(hdf5()))
    with h5py.File(path, "r+") as file:
        file["b"] = np.arange(400)
    assert not check_seal(path)
