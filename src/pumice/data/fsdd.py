"""Spoken digits (Free Spoken Digit Dataset) from a folder that the user names; nothing is downloaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.data.crossings import CrossingEncoder
from pumice.data.dataset import EventDataset, Split
from pumice.data.event_cache import cached_events
from pumice.data.events import EventSamples
from pumice.data.folders import find_layout
from pumice.data.whole import whole_numbers
from pumice.errors import InputError
from pumice.files.arrays import read_npz

LAYOUTS = {"arrays": ("train.npz", "test.npz")}
SOURCE = "Free Spoken Digit Dataset, Z. Jackson and contributors (CC BY-SA 4.0), as level-crossing events"


def load_fsdd(
    root: str | Path | None,
    *,
    leave_out: str | None = None,
    bands: int = 32,
    spacing: float = 10.0,
    cache: str | Path | None = None,
) -> EventDataset:
    """Spoken English digits, six speakers, encoded by `CrossingEncoder`: columns are bands, rows are levels.

    The layout: `train.npz` and `test.npz`, each with `audio` (all recordings, int16), `offsets`, `label`,
    `speaker` (index), `speakers` (names) and `rate`. The official split has each speaker on both sides (takes
    0 to 4 are held back); with `leave_out`, all of one speaker's recordings are held back and the network
    learns from the others' alone.

    Args:
        root: The folder.
        leave_out: The speaker that is held back, or None for the official split.
        bands: See `CrossingEncoder`.
        spacing: See `CrossingEncoder`.
        cache: Folder for encoded recordings; None encodes anew each time (about ten seconds).

    Raises:
        InputError: The folder or its files are missing or damaged, or there is no such speaker.
    """
    _, folder = find_layout("fsdd", root, LAYOUTS)
    parts = [_encoded(folder / f"{name}.npz", bands, spacing, cache) for name in ("train", "test")]
    (train, train_who, names, shape), (test, test_who, _, _) = parts
    source = SOURCE
    if leave_out is not None:
        if leave_out not in names:
            raise InputError(f"fsdd: there is no speaker {leave_out!r} to leave out; there are: {', '.join(names)}")
        speaker = names.index(leave_out)
        everything = _join(train, test)
        out = np.concatenate([train_who, test_who]) == speaker
        train, test = everything.select(np.flatnonzero(~out)), everything.select(np.flatnonzero(out))
        source += f"; held back: speaker {leave_out}"
    return EventDataset("fsdd", train, test, tuple("0123456789"), shape, 800_000, source=source)


def _encoded(
    path: Path, bands: int, spacing: float, cache: str | Path | None
) -> tuple[Split, npt.NDArray[Any], tuple[str, ...], tuple[int, int, int]]:
    names = ("audio", "offsets", "label", "speaker", "speakers", "rate")
    audio, offsets, label, speaker, speakers, rate = read_npz(path, names)
    offsets, label = whole_numbers(f"{path}: offsets", offsets), whole_numbers(f"{path}: label", label)
    speaker = whole_numbers(f"{path}: speaker", speaker)
    if rate.size != 1 or rate.dtype.kind not in "iu" or not 1000 <= int(rate.reshape(())) <= 192_000:
        raise InputError(f"{path}: rate must be one integer in 1000..192000, samples per second, got {rate}")
    if audio.ndim != 1 or audio.dtype.kind not in "iu" or speakers.ndim != 1:
        raise InputError(f"{path}: audio must be integers (n,) and speakers names, got {audio.dtype} {audio.shape}")
    rises = len(offsets) == len(label) + 1 and offsets[0] == 0 and (np.diff(offsets) > 0).all()
    if not rises or label.shape != speaker.shape or len(audio) != offsets[-1]:
        raise InputError(f"{path}: audio, offsets, label and speaker do not fit each other")
    encoder = CrossingEncoder(rate=int(rate.reshape(())), bands=bands, spacing=spacing)

    def encode() -> Iterator[npt.NDArray[Any]]:
        for start, end in pairwise(offsets):
            yield encoder.encode(audio[start:end])

    digest = hashlib.sha256(audio.tobytes() + offsets.tobytes()).hexdigest()
    key = {"name": "fsdd", "audio": digest, "encoder": asdict(encoder)}
    split = Split(cached_events(cache, key, encode), label)
    return split, speaker, tuple(map(str, speakers)), encoder.sensor_shape


class _Joined:
    """Reads from two lists of recordings as if they were one."""

    def __init__(self, first: EventSamples, second: EventSamples) -> None:
        self._first, self._second = first, second

    def __call__(self, index: int) -> Any:
        n = len(self._first)
        return self._first[index] if index < n else self._second[index - n]


def _join(a: Split, b: Split) -> Split:
    samples = EventSamples(_Joined(a.samples, b.samples), np.arange(len(a) + len(b)))
    return Split(samples, np.concatenate([a.labels, b.labels]))
