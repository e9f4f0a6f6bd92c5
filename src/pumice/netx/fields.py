"""Reading single fields of an untrusted HDF5 file: links, types, sizes and values are checked before use.

Everything that touches h5py's reading side is here, so that whatever the HDF5 library makes of a damaged
file comes out as one `FileFormatError` that names the field.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from pumice.errors import FileFormatError, ResourceError
from pumice.files.limits import Budget, current_limits
from pumice.files.reading import file_size, first_line, reading
from pumice.files.seal import ZIP, check_seal
from pumice.files.text import name_problem

FloatArray = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

MAX_FIELD_VALUES = 1 << 27
"""No field may hold more numbers than this: they are decoded to 8 bytes each. All fields together have a `Budget`."""
MAX_SMALL_BYTES = 1 << 26
"""Compressed fields (and their chunks) up to this size are read whatever their ratio."""
MAX_COMPRESSION = 200
MAX_TEXT_BYTES = 1 << 20
MAX_TEXTS = 100_000
LARGE = 2**31 - 1
MAX_VALUES = 1 << 28
"""Values of one population or input."""

_FILTERS = {
    h5py.h5z.FILTER_DEFLATE: "gzip",
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    h5py.h5z.FILTER_FLETCHER32: "fletcher32",
    h5py.h5z.FILTER_LZF: "lzf",
}


@contextmanager
def _hdf5(where: str) -> Iterator[None]:
    try:
        yield
    except FileFormatError:
        raise
    except MemoryError as error:
        raise ResourceError(f"{where}: there is not enough memory to read it") from error
    except BlockingIOError as error:
        raise FileFormatError(f"{where}: another program is writing to it; close it there, then read it") from error
    except Exception as error:  # h5py raises whatever the C library's error stack maps to
        raise FileFormatError(f"{where} cannot be read, the file is damaged ({first_line(error)})") from error


class Node:
    """One group of the file, and where it is."""

    def __init__(self, group: h5py.Group, where: str, budget: Budget) -> None:
        self._group = group
        self._budget = budget
        self.where = where

    def names(self) -> list[str]:
        """Names of everything in this group."""
        with _hdf5(self.where):
            found = sorted(str(name) for name in self._group)
        for name in found:
            if (problem := name_problem(name)) is not None:
                raise self.error(f"the name of a field {problem}")
        return found

    def __contains__(self, name: str) -> bool:
        with _hdf5(f"{self.where}/{name}"):
            return name in self._group

    def error(self, message: str, name: str = "") -> FileFormatError:
        """An error that says where in the file it is."""
        place = f"{self.where}/{name}" if name else self.where.removesuffix(":")
        return FileFormatError(f"{place}: {message}")

    def child(self, name: str) -> Node:
        """The group called `name`."""
        found = self._get(name)
        if not isinstance(found, h5py.Group):
            raise self.error("must be a group", name)
        return Node(found, f"{self.where}/{name}", self._budget)

    def is_group(self, name: str) -> bool:
        """Whether `name` is a group."""
        return isinstance(self._get(name), h5py.Group)

    def is_text(self, name: str) -> bool:
        """Whether `name` is a dataset of strings."""
        return h5py.check_string_dtype(self._dataset(name).dtype) is not None

    def attribute(self, name: str) -> int | None:
        """An integer attribute of this group, or None."""
        with _hdf5(f"{self.where}@{name}"):
            if name not in self._group.attrs:
                return None
            header = self._group.attrs.get_id(name)
            if header.shape not in ((), (1,)) or header.dtype.kind not in "iu":
                raise self.error(f"attribute {name} must be one integer")
            return int(np.asarray(self._group.attrs[name]).reshape(()))

    def text(self, name: str) -> str:
        """A string: a scalar or an array of one, of fixed or variable length."""
        texts = self.texts(name)
        if len(texts) != 1:
            raise self.error(f"must be one string, got {len(texts)}", name)
        return texts[0]

    def texts(self, name: str) -> list[str]:
        """Strings, as a flat list."""
        where = f"{self.where}/{name}"
        dataset = self._dataset(name)
        with _hdf5(where):
            if h5py.check_string_dtype(dataset.dtype) is None:
                raise self.error(f"must be a string, got {dataset.dtype}", name)
            if dataset.dtype.itemsize * dataset.size > MAX_TEXT_BYTES or dataset.size > MAX_TEXTS:
                raise self.error("is too long for a string", name)
            raw = self._raw_texts(dataset, name)
        try:
            return [v.rstrip(b"\0").decode() for v in raw]
        except UnicodeDecodeError as error:
            raise self.error("is not UTF-8", name) from error

    def _raw_texts(self, dataset: h5py.Dataset, name: str) -> list[bytes]:
        """As bytes; how long one of variable length is, and how often one is meant, shows when it is read."""
        found: list[bytes] = []
        total = 0
        is_list = dataset.ndim == 1 and h5py.check_string_dtype(dataset.dtype).length is None
        at_once = max(1, MAX_TEXT_BYTES // max(1, self._budget.file_bytes) if is_list else dataset.size)
        for start in range(0, dataset.size, at_once):
            part = dataset[start : start + at_once] if is_list else dataset[()]
            values = np.atleast_1d(np.asarray(part, dtype=object)).reshape(-1)
            found += [v if isinstance(v, bytes) else str(v).encode() for v in values]
            total += sum(map(len, found[len(found) - len(values) :]))
            if total > MAX_TEXT_BYTES:
                raise self.error("is too long for a string", name)
        self._budget.take(total, name)
        return found

    def name(self) -> str:
        """The field `name`, which must be one that can be shown and be a name of a file's member."""
        found = self.text("name")
        if (problem := name_problem(found)) is not None:
            raise self.error(problem, "name")
        return found

    def numbers(self, name: str) -> FloatArray | Int64Array:
        """Finite numbers of any shape, as int64 or float64."""
        where = f"{self.where}/{name}"
        dataset = self._dataset(name)
        with _hdf5(where):
            if dataset.dtype.kind not in "iufb" or dataset.dtype.itemsize > 8:  # wider ones would be rounded
                raise self.error(f"must hold numbers, got {dataset.dtype}", name)
            self._budget.take(8 * dataset.size, name)
            values = np.asarray(dataset[()])
        if values.dtype.kind == "f":
            wide = values.astype(np.float64)
            if not np.isfinite(wide).all():
                raise self.error("holds NaN or infinity", name)
            return wide
        if values.dtype.kind == "u" and values.size and int(values.max()) >= 2**63:
            raise self.error(f"is out of range: {values.max()}", name)
        return values.astype(np.int64, copy=False)

    def integers(self, name: str, low: int, high: int, *, truncate: bool = False) -> Int64Array:
        """Integers of any shape within low..high, whatever type they are stored in.

        Args:
            name: The field.
            low: Smallest allowed value.
            high: Largest allowed value.
            truncate: Drop fractions toward zero, as stock netx does, instead of refusing them.
        """
        values = self.numbers(name)
        fractions = values.dtype.kind == "f"
        whole = np.trunc(values) if fractions else values
        if fractions and not truncate and np.any(whole != values):
            raise self.error(
                f"must hold integers, got {values[whole != values].flat[0]}; --as-stock drops the fraction as stock "
                "netx does",
                name,
            )
        if values.size and (whole.min() < low or whole.max() > high):
            raise self.error(f"must lie in {low}..{high}, got {whole.min():.0f} to {whole.max():.0f}", name)
        return whole.astype(np.int64, copy=False)

    def integer(self, name: str, low: int, high: int) -> int:
        """One integer: a scalar or an array of one."""
        values = self.integers(name, low, high)
        if values.size != 1:
            raise self.error(f"must be one number, got shape {values.shape}", name)
        return int(values.reshape(()))

    def pair(self, name: str, low: int, high: int) -> tuple[int, int]:
        """Two integers; a single one counts twice."""
        values = self.integers(name, low, high).reshape(-1)
        if values.size not in (1, 2):
            raise self.error(f"must be one or two numbers, got {values.size}", name)
        return int(values[0]), int(values[-1])

    def shape(self, name: str = "shape") -> tuple[int, ...]:
        """One to five sizes >= 1 whose product is a sane number of values."""
        values = self.integers(name, 1, MAX_VALUES).reshape(-1)
        if not 1 <= values.size <= 5:
            raise self.error(f"must hold 1 to 5 sizes, got {values.size}", name)
        sizes = tuple(int(n) for n in values)
        if (count := float(np.prod(values.astype(np.float64)))) > MAX_VALUES:
            raise self.error(f"{sizes} means {count:.0f} values, at most {MAX_VALUES} are read", name)
        return sizes

    def _get(self, name: str) -> h5py.Group | h5py.Dataset:
        where = f"{self.where}/{name}"
        with _hdf5(where):
            link = self._group.get(name, getlink=True)
            if link is None:
                raise self.error(f"has no {name!r}")
            if not isinstance(link, h5py.HardLink):
                raise self.error("is a link; only data inside the file is read", name)
            found = self._group.get(name)
            if not isinstance(found, h5py.Group | h5py.Dataset):
                raise self.error("is neither a group nor a dataset", name)
            return found

    def _dataset(self, name: str) -> h5py.Dataset:
        found = self._get(name)
        if not isinstance(found, h5py.Dataset):
            raise self.error("must be a dataset, not a group", name)
        with _hdf5(f"{self.where}/{name}"):
            for problem in _storage_problems(found, self._budget.file_bytes):
                raise self.error(problem, name)
        return found


def _storage_problems(dataset: h5py.Dataset, file_bytes: int) -> Iterator[str]:
    """Why this dataset must not be read, before a byte of it is; the first reason makes the later ones moot."""
    if dataset.shape is None:
        yield "is empty"
    if dataset.ndim > 5:
        yield f"has {dataset.ndim} dimensions, at most 5 are read"
    if dataset.is_virtual or dataset.external:
        yield "takes its data from another file"
    plist = dataset.id.get_create_plist()
    codes = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    for code in codes:
        if code not in _FILTERS:
            yield f"uses HDF5 filter {code}; known are {', '.join(_FILTERS.values())}"
    count = max(int(np.prod(shape, dtype=object)) for shape in (dataset.shape, dataset.chunks or ()))
    if count > MAX_FIELD_VALUES:
        yield f"declares {count} values, at most {MAX_FIELD_VALUES} are read"
    size = dataset.size * dataset.dtype.itemsize
    chunk = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize if dataset.chunks else 0
    stored = int(dataset.id.get_storage_size())
    if stored > file_bytes or (stored == 0 and size > 0):
        yield f"declares {size} bytes, but the file does not hold them"
    if not codes and stored < size:
        yield f"declares {size} bytes, but {stored} are stored"
    trusted = current_limits().read_bytes is not None
    if not trusted and max(size, chunk) > max(MAX_SMALL_BYTES, MAX_COMPRESSION * stored):
        yield f"declares {max(size, chunk)} bytes in {stored} stored ones; that much compression is refused"


@contextmanager
def open_file(path: Path) -> Iterator[Node]:
    """Open an HDF5 file for reading.

    Raises:
        FileFormatError: The file is missing, is no HDF5 file, or is damaged; or it is not what pumice wrote.
    """
    with reading(path, "a network file", FileFormatError):
        file_bytes = file_size(path)
        with path.open("rb") as opened:
            is_archive = opened.read(len(ZIP)) == ZIP
        if not h5py.is_hdf5(path):
            hint = "; if it is a checkpoint, `pumice lower` makes a network file of it" if is_archive else ""
            raise FileFormatError(f"{path}: is not an HDF5 file, or its beginning is damaged{hint}")
        check_seal(path)
    with _hdf5(f"{path}"):
        file = h5py.File(path, "r")
    try:
        yield Node(file, f"{path}:", Budget(str(path), file_bytes))
    finally:
        with _hdf5(f"{path}"):
            file.close()
