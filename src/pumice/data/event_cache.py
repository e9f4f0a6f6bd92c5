"""Recordings kept on disk in a form that is read fast and only in part: events, offsets, a note of what they are."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pumice.data.events import EVENT, Events, EventSamples, concatenate
from pumice.data.whole import whole_numbers
from pumice.errors import InputError
from pumice.files.arrays import read_npy
from pumice.files.paths import possible_path
from pumice.files.write import sync_file, sync_folder, temporary_beside

VERSION = 1


def cached_events(
    folder: str | Path | None, key: Mapping[str, Any], make: Callable[[], Iterable[Events]]
) -> EventSamples:
    """Recordings that are made once and then read from a cache, mapped into memory page by page.

    Args:
        folder: The cache; None keeps the recordings in memory and writes nothing.
        key: All that the recordings depend on; JSON values. Another key is another entry.
        make: Makes the recordings, one after the other.

    Returns:
        The recordings, the same whether they were made or found.

    Raises:
        InputError: The cache cannot be written or read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first = cached_events(folder, {"a": 1}, lambda: [np.ones(2, EVENT)])
        ...     again = cached_events(folder, {"a": 1}, lambda: 1 / 0)  # not made a second time
        ...     again[0]["t"].tolist()
        [1, 1]
    """
    if folder is None:
        return concatenate(list(make()))
    text = json.dumps({"version": VERSION, **key}, sort_keys=True)
    entry = possible_path(folder) / f"{key.get('name', 'events')}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    try:
        if not entry.is_dir():
            _write(entry, text, make())
    except OSError as error:
        raise InputError(f"{entry}: the cache cannot be used ({error.strerror or error})") from error
    mapped = MappedEvents(entry)
    return EventSamples(mapped, np.arange(len(mapped.offsets) - 1))


class MappedEvents:
    """Reads recordings from a cache that is mapped into memory.

    Args:
        entry: Folder of the cache.

    Raises:
        InputError: The cache cannot be read, or is damaged.
    """

    def __init__(self, entry: Path) -> None:
        self._entry = entry
        try:
            self.offsets = whole_numbers("offsets", read_npy(entry / "offsets.npy"))
            path = entry / "events.bin"
            if not len(self.offsets) or self.offsets[0] or (np.diff(self.offsets) < 0).any():
                raise ValueError("offsets.npy does not rise from 0")
            if path.stat().st_size != int(self.offsets[-1]) * EVENT.itemsize:
                raise ValueError("events.bin has another size than offsets.npy says")
            empty = not int(self.offsets[-1])  # an empty file cannot be mapped
            self._events: Events = np.zeros(0, EVENT) if empty else np.memmap(path, EVENT, mode="r")
        except OSError as error:
            raise InputError(f"{entry}: the cache cannot be used ({error.strerror or error})") from error
        except ValueError as error:
            raise InputError(f"{entry}: the cache is damaged ({error}); delete this folder") from error

    def __call__(self, index: int) -> Events:
        """One recording."""
        return self._events[self.offsets[index] : self.offsets[index + 1]]

    def __reduce__(self) -> tuple[type[MappedEvents], tuple[Path]]:
        # A worker process opens the file itself; pickled as an array, it would be sent all events.
        return MappedEvents, (self._entry,)


def _write(entry: Path, text: str, recordings: Iterable[Events]) -> None:
    # Written aside and renamed: a run that is killed leaves no half of a cache, two runs do not mix.
    aside = temporary_beside(entry)
    aside.mkdir(parents=True)
    try:
        sizes = [0]
        with (aside / "events.bin").open("wb") as file:
            for events in recordings:
                file.write(np.asarray(events, EVENT).tobytes())
                sizes.append(len(events))
        np.save(aside / "offsets.npy", np.cumsum(sizes))
        (aside / "key.json").write_text(text, encoding="utf-8")
        for path in aside.iterdir():
            sync_file(path)
        try:
            aside.rename(entry)
            sync_folder(entry.parent)
        except OSError:
            if not entry.is_dir():  # else another run was faster
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
