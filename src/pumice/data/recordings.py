"""Splits of event recordings, as files hold them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pumice.data.dataset import Split
from pumice.data.event_cache import cached_events
from pumice.data.events import EVENT, Events, EventSamples, pack_events
from pumice.data.npz import read_npz
from pumice.data.whole import whole_numbers
from pumice.errors import InputError, MissingExtraError

ATIS_BYTES = 5
"""Bytes of an event in N-MNIST's files; tonic reads a file that ends within one as if it had fewer events."""


def read_event_npz(path: Path) -> Split:
    """A split from one .npz file with `x`, `y`, `t`, `p`, `offsets` and `label`.

    Raises:
        InputError: The file is missing or damaged, or its arrays do not fit each other.
    """
    names = ("x", "y", "t", "p", "offsets", "label")
    arrays = dict(zip(names, read_npz(path, names), strict=True))
    labels = arrays.pop("label")
    try:
        return Split(pack_events(**arrays), whole_numbers("label", labels))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


@dataclass(frozen=True, eq=False)
class TonicReader:
    """Reads recordings through one of tonic's datasets.

    Attributes:
        dataset: tonic's dataset.
    """

    dataset: Any

    def name(self, index: int) -> str:
        """The recording's file."""
        return str(self.dataset.data[index])

    def __call__(self, index: int) -> Events:
        """One recording.

        Raises:
            InputError: Its file is missing or damaged.
        """
        try:
            if self.name(index).endswith(".bin") and Path(self.name(index)).stat().st_size % ATIS_BYTES:
                raise ValueError("its last event is cut off")
            found = self.dataset[index][0]
            events = np.empty(len(found), EVENT)
            for name in ("x", "y", "t", "p"):
                events[name] = whole_numbers(name, found[name], EVENT[name])
        except (OSError, ValueError, IndexError, TypeError) as error:
            raise InputError(f"{self.name(index)}: cannot be read as events ({error})") from error
        return events


def read_tonic(kind: str, folder: Path, *, train: bool, cache: str | Path | None = None) -> Split:
    """A split of a dataset that tonic knows, from tonic's own folders; never downloads.

    Args:
        kind: Name of tonic's class, such as "NMNIST".
        folder: What tonic calls `save_to`: the folder that holds the folder `kind`.
        train: The training split, or else the test split.
        cache: Folder for a copy of the recordings that is read faster; None reads tonic's files.

    Raises:
        InputError: tonic finds no recordings there.
    """
    try:
        datasets = import_module("tonic.datasets")
    except ModuleNotFoundError as error:
        raise MissingExtraError("tonic", "train", "tonic's folders") from error
    original: Any = getattr(datasets, kind)
    # tonic would download where the archive (not only its contents) is missing; the folder is what counts here.
    local = type(kind, (original,), {"_check_exists": lambda self: True})
    dataset = original.__new__(original)  # of tonic's own class: one that is made here could not be pickled
    vars(dataset).update(vars(local(str(folder), train=train)))
    if not len(dataset):
        raise InputError(f"{folder / kind / dataset.folder_name}: holds no recordings of tonic's {kind} layout")
    order = np.argsort(dataset.data)  # tonic lists some folders in the file system's order
    samples = EventSamples(TonicReader(dataset), order)
    if cache is not None:
        names = np.array(dataset.data)[order].tolist()
        files = [(name, *_stamp(Path(name))) for name in names]
        samples = cached_events(cache, {"name": kind.lower(), "files": files}, lambda: samples)
    return Split(samples, np.array(dataset.targets, np.int64)[order])


def _stamp(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written or replaced, even by one of equal size and date."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns
