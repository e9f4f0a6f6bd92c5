"""One recording of events from one file, in the formats that cameras and datasets use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from pumice.data.aedat4 import read_aedat4
from pumice.data.events import Events, pack_events
from pumice.errors import InputError
from pumice.files.arrays import read_npz

ADDRESS_EVENT_BYTES = 5
OVERFLOW_ROW, OVERFLOW_US = 240, 1 << 13
"""In `.bin` files an event of this row, below the sensor's last, says that the clock went over."""

Columns = tuple[npt.NDArray[Any], ...]
"""x, y, t, p."""


def read_events(path: Path) -> Events:
    """A recording from `.npz`, `.bin`, `.bs2`, `.aedat4`, `.h5` or `.hdf5`, without tonic.

    Args:
        path: The file. Arrays (npz, HDF5) are x, y, t in microseconds, p in 0 or 1, in HDF5 at the root or in a group
            `events`, there also called xs, ys, ts, ps. `.bin` and `.bs2` are N-MNIST's 40 bits an event (G. Orchard
            et al., Frontiers in Neuroscience 2015): x 8, y 8, p 1, t 23.

    Raises:
        InputError: The file is missing, damaged, or of another type.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.bs2"
        >>> _ = path.write_bytes(bytes([3, 4, 0x80, 1, 2]))
        >>> read_events(path).tolist()
        [(3, 4, 258, 1)]
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: recordings of events end in {', '.join(READERS)}")
    try:
        x, y, t, p = reader(path)
        return pack_events(x=x, y=y, t=t, p=p, offsets=[0, len(t)])[0]
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(str(path)) else f"{path}: {text}") from error
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: cannot be read as events ({error})") from error


def _npz(path: Path) -> Columns:
    return tuple(read_npz(path, ("x", "y", "t", "p")))


def _address_events(path: Path) -> Columns:
    data = np.fromfile(path, np.uint8)
    if len(data) % ADDRESS_EVENT_BYTES:
        raise ValueError("its last event is cut off")
    x, y, high, middle, low = data.reshape(-1, ADDRESS_EVENT_BYTES).astype(np.int64).T
    return x, y, (high & 127) << 16 | middle << 8 | low, high >> 7


def _address_events_with_overflow(path: Path) -> Columns:
    x, y, t, p = _address_events(path)
    over = y == OVERFLOW_ROW
    t = t + OVERFLOW_US * np.cumsum(over)
    return x[~over], y[~over], t[~over], p[~over]


def _hdf5(path: Path) -> Columns:
    with h5py.File(path, "r") as file:
        group = file["events"] if "events" in file and isinstance(file["events"], h5py.Group) else file
        columns = [group.get(name, group.get(f"{name}s")) for name in "xytp"]
        if not all(isinstance(column, h5py.Dataset) and column.ndim == 1 for column in columns):
            raise ValueError("it must hold arrays x, y, t, p, at the root or in a group `events`")
        if len({column.shape for column in columns}) > 1:
            raise ValueError(f"x, y, t, p are of unequal lengths: {', '.join(str(len(c)) for c in columns)}")
        if columns[0].size * max(c.dtype.itemsize for c in columns) > MOST_TIMES * path.stat().st_size:
            raise ValueError("it says that it holds more events than a file of its size can")
        return tuple(column[:] for column in columns)


MOST_TIMES = 1000
"""deflate, HDF5's usual compression, makes data smaller by about so much at most."""

READERS: Mapping[str, Callable[[Path], Columns]] = {
    ".npz": _npz,
    ".bin": _address_events_with_overflow,
    ".bs2": _address_events,
    ".aedat4": read_aedat4,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
}


@dataclass(frozen=True)
class EventFiles:
    """Recordings in files of their own, each read when it is asked for.

    Attributes:
        paths: The files.
        read: Reads one.
    """

    paths: tuple[Path, ...]
    read: Callable[[Path], Events] = read_events

    def name(self, index: int) -> str:
        """The recording's file."""
        return str(self.paths[index])

    def __call__(self, index: int) -> Events:
        """One recording.

        Raises:
            InputError: Its file is missing or damaged.
        """
        return self.read(self.paths[index])
