"""NumPy's files, .npy and .npz, from anywhere: headers, sizes and members are checked before memory is taken."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pumice.errors import InputError
from pumice.files.limits import Budget
from pumice.files.reading import file_size, reading
from pumice.files.write import replace_atomically

KINDS = "biufUS"
"""Kinds of numbers and texts; arrays of objects are pickles, which are never loaded."""
MAX_DIMENSIONS = 32
MAX_HEADER = 10_000
_NPY, _NPZ = "a .npy array of numbers", "an .npz archive of arrays"


def read_npy(path: Path) -> npt.NDArray[Any]:
    """The array of a .npy file.

    Raises:
        InputError: The file is missing or damaged.
        FileFormatError: It asks for more memory than it may.
    """
    with _opened(path) as (file, size):
        return _array(file, size, Budget(str(path), size), "the array")


def map_npy(path: Path) -> npt.NDArray[Any]:
    """The same, mapped: of a long stream, only what is used takes memory.

    Raises:
        InputError: See `read_npy`.
    """
    with _opened(path) as (file, size):
        shape, fortran, dtype = _header(file, size)
        if not math.prod(shape):
            return np.empty(shape, dtype)
        return np.memmap(path, dtype, mode="r", offset=file.tell(), shape=shape, order="F" if fortran else "C")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """A .npy file, and its size."""
    with reading(path, _NPY, InputError):
        size = file_size(path)
        with path.open("rb") as file:
            if file.read(2) == b"PK":
                raise InputError(f"{path}: is an archive; a .npy file with one array is needed")
            file.seek(0)
            yield file, size


def read_npz(path: Path, names: Iterable[str]) -> tuple[npt.NDArray[Any], ...]:
    """Arrays of an .npz archive by their names, in this order.

    Raises:
        InputError: The file is missing or damaged, or lacks an array.
        FileFormatError: It asks for more memory than it may.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.npz"
        >>> np.savez(path, x=np.arange(3))
        >>> read_npz(path, ["x"])[0].tolist()
        [0, 1, 2]
    """
    wanted = list(names)
    with reading(path, _NPZ, InputError):
        size = file_size(path)
        budget = Budget(str(path), size)
        with path.open("rb") as file, _archive(path, file) as archive:
            members = _members(archive, path)
            if missing := [name for name in wanted if name not in members]:
                listed = " and ".join(map(repr, wanted))
                raise InputError(f"{path}: must hold the arrays {listed}; there is no {missing[0]!r}")
            return tuple(_member(archive, members[name], budget, name) for name in wanted)


def write_npz(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays of numbers and texts as a compressed .npz archive, which appears whole or not at all.

    Raises:
        InputError: It cannot be written.
    """
    # np.savez leaves its archive open when a disk is full, which then complains on stderr.
    with replace_atomically(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)


def names_in_npz(path: Path) -> set[str]:
    """What the arrays of an .npz archive are called.

    Raises:
        InputError: The file is missing or damaged.
    """
    with reading(path, _NPZ, InputError):
        file_size(path)  # a device has none, and no end
        with path.open("rb") as file, _archive(path, file) as archive:
            return {*_members(archive, path)}


def _archive(path: Path, file: BinaryIO) -> zipfile.ZipFile:
    if file.read(6) == b"\x93NUMPY":
        raise InputError(f"{path}: is a .npy file with one array; an .npz archive of named arrays is needed")
    file.seek(0)
    return zipfile.ZipFile(file)


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in found:
            raise InputError(f"{path}: holds two members {name!r}")
        found[name] = info
    return found


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget, name: str) -> npt.NDArray[Any]:
    if info.flag_bits & 1:
        raise ValueError(f"{name} is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed in a way that NumPy does not write")
    with archive.open(info) as file:
        return _array(file, info.file_size, budget, name)  # to the end, where the checksum is compared


def _array(file: Any, size: int, budget: Budget, name: str) -> npt.NDArray[Any]:
    shape, fortran, dtype = _header(file, size)
    n_bytes = math.prod(shape) * dtype.itemsize
    budget.take(n_bytes, name)
    data = np.empty(n_bytes, np.uint8)
    view = data.data
    filled = 0
    while filled < n_bytes and (n := file.readinto(view[filled : filled + (1 << 20)])):
        filled += n
    if filled < n_bytes:
        raise ValueError(f"{name} ends early")
    array = data.view(dtype) if dtype.itemsize else np.zeros(math.prod(shape), dtype)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def _header(file: Any, size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type, after the declared size was found to be what the file holds.

    Raises:
        ValueError: It is not, or the type is none that is read.
    """
    head = file.read(8)
    version = np.lib.format.read_magic(io.BytesIO(head))
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the format is not known")
    stated = file.read(2 if version == (1, 0) else 4)
    length = int.from_bytes(stated, "little")
    if length > MAX_HEADER:
        raise ValueError(f"has a header of {length:,} bytes")
    text = io.BytesIO(stated + file.read(length))
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = read(text, max_header_size=MAX_HEADER)  # type: ignore[call-arg]
    except MemoryError as error:  # Python's parser, of an expression that is nested too deep
        raise ValueError("has a header that cannot be parsed") from error
    if dtype.kind not in KINDS:
        raise ValueError(f"holds {dtype}; only numbers and texts are read")
    if len(shape) > MAX_DIMENSIONS or any(not isinstance(n, int) or n < 0 for n in shape):
        raise ValueError(f"has shape {str(shape)[:80]}")
    declared, there = math.prod(shape) * dtype.itemsize, size - len(head) - len(text.getvalue())
    if declared != there:
        raise ValueError(f"declares {declared:,} bytes, and {there:,} are there")
    return shape, fortran, dtype
