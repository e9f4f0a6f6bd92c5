"""Splits of event recordings, as files hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pumice.data.dataset import Split
from pumice.data.event_cache import cached_events
from pumice.data.event_files import EventFiles, read_events
from pumice.data.events import Events, EventSamples, pack_events
from pumice.data.whole import whole_numbers
from pumice.errors import InputError
from pumice.files.arrays import read_npz

EVENT_ARRAYS = ("x", "y", "t", "p", "offsets", "label")


def read_event_npz(path: Path) -> Split:
    """A split from one .npz file with `x`, `y`, `t`, `p`, `offsets` and `label`.

    Raises:
        InputError: The file is missing or damaged, or its arrays do not fit each other.
    """
    arrays = dict(zip(EVENT_ARRAYS, read_npz(path, EVENT_ARRAYS), strict=True))
    labels = arrays.pop("label")
    try:
        return Split(pack_events(**arrays), whole_numbers("label", labels))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_files(
    kind: str,
    files: Sequence[tuple[Path, int]],
    *,
    read: Callable[[Path], Events] = read_events,
    cache: str | Path | None = None,
) -> Split:
    """A split of recordings in files of their own, in the order of their paths.

    Args:
        kind: What the cache's entry is called.
        files: Each file and its label.
        read: Reads one of them.
        cache: Folder for a copy of the recordings that is read faster; None reads the files as they are asked for.
    """
    ordered = sorted(files, key=lambda pair: str(pair[0]))
    paths = tuple(path for path, _ in ordered)
    samples = EventSamples(EventFiles(paths, read), np.arange(len(paths)))
    if cache is not None:
        stamps = [(str(path), *_stamp(path)) for path in paths]
        samples = cached_events(cache, {"name": kind, "files": stamps}, lambda: samples)
    return Split(samples, np.array([label for _, label in ordered], np.int64))


def _stamp(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written or replaced, even by one of equal size and date."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns
