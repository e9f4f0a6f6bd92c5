"""Recordings of events, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from pumice.data.whole import whole_numbers
from pumice.errors import InputError

EVENT = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.int8)])
"""One event: column, row, time in microseconds, polarity (1 ON, 0 OFF). tonic's transforms take arrays of these."""

Events = npt.NDArray[Any]
"""Events of one recording, sorted by time."""


def in_order(events: Events) -> Events:
    """Events by their times; of equal times in the order in which they were. Not copied if they are sorted.

    Example:
        >>> mixed = pack_events(x=[7, 8, 9], y=[0, 0, 0], t=[5, 2, 2], p=[0, 0, 0], offsets=[0, 3])[0]
        >>> in_order(mixed)["x"].tolist()
        [8, 9, 7]
    """
    t = events["t"]
    return events[np.argsort(t, kind="stable")] if (t[1:] < t[:-1]).any() else events


class EventSamples:
    """A list of recordings, each read by index; a slice or an array of indices gives a shorter list.

    Args:
        read: Index -> the recording's events. Must be picklable for worker processes. If it has a method
            `name(index)`, messages call the recording so.
        indices: What to ask `read` for, in order.

    Example:
        >>> samples = pack_events(x=[3, 1, 2], y=[0, 0, 0], t=[5, 6, 9], p=[1, 0, 1], offsets=[0, 2, 3])
        >>> len(samples), samples[0]["x"].tolist(), samples[1:][0]["t"].tolist()
        (2, [3, 1], [9])
    """

    def __init__(self, read: Callable[[int], Events], indices: npt.NDArray[np.int64]) -> None:
        self.read = read
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, key: int) -> Events: ...
    @overload
    def __getitem__(self, key: slice | npt.NDArray[Any]) -> EventSamples: ...
    def __getitem__(self, key: Any) -> Any:
        chosen = self.indices[key]
        return self.read(int(chosen)) if np.ndim(chosen) == 0 else EventSamples(self.read, chosen)

    def __iter__(self) -> Iterator[Events]:
        return (self[index] for index in range(len(self)))

    def name(self, index: int) -> str:
        """What messages call a recording.

        Example:
            >>> pack_events(x=[1], y=[1], t=[0], p=[1], offsets=[0, 0, 1])[1:].name(0)
            'recording 1'
        """
        chosen = int(self.indices[index])
        name: Callable[[int], str] = getattr(self.read, "name", "recording {}".format)
        return name(chosen)


@dataclass(frozen=True, eq=False)
class PackedEvents:
    """Recordings in memory, all events in one array.

    Attributes:
        events: All recordings' events, one after the other.
        offsets: Recording i is offsets[i]:offsets[i+1].
    """

    events: Events
    offsets: npt.NDArray[np.int64]

    def __call__(self, index: int) -> Events:
        """One recording."""
        return self.events[self.offsets[index] : self.offsets[index + 1]]


def pack_events(*, x: Any, y: Any, t: Any, p: Any, offsets: Any) -> EventSamples:
    """Recordings from one array per field, as npz files hold them.

    Args:
        x: Columns.
        y: Rows.
        t: Times in microseconds, whole numbers.
        p: Polarities.
        offsets: Recording i is offsets[i]:offsets[i+1].

    Raises:
        InputError: The arrays' lengths do not fit each other, or a value is no whole number that fits an event.
    """
    starts = whole_numbers("offsets", offsets)
    fields = {"x": np.asarray(x), "y": np.asarray(y), "t": np.asarray(t), "p": np.asarray(p)}
    sizes = {name: values.size for name, values in fields.items()}
    if len(starts) < 1 or starts[0] != 0 or (np.diff(starts) < 0).any() or set(sizes.values()) != {int(starts[-1])}:
        raise InputError(f"events: offsets must rise from 0 to the number of events, which are {sizes}")
    events = np.empty(int(starts[-1]), EVENT)
    for name, values in fields.items():
        hint = "; times are microseconds: multiply seconds by 1e6 and round" if name == "t" else ""
        events[name] = whole_numbers(name, values, EVENT[name], hint=hint)
    return EventSamples(PackedEvents(events, starts), np.arange(len(starts) - 1))


@dataclass(frozen=True, eq=False)
class NamedRecording:
    """One recording in memory, and what messages call it.

    Attributes:
        events: The recording.
        called: Its name.
    """

    events: Events
    called: str

    def __call__(self, index: int) -> Events:
        """The recording."""
        return self.events

    def name(self, index: int) -> str:
        """Its name."""
        return self.called


def one_recording(events: Events, name: str) -> EventSamples:
    """A list of one recording that is in memory.

    Example:
        >>> one_recording(np.zeros(3, EVENT), "clap.bin").name(0)
        'clap.bin'
    """
    return EventSamples(NamedRecording(events, name), np.zeros(1, np.int64))


def concatenate(recordings: list[Events]) -> EventSamples:
    """Recordings in memory, from a list.

    Example:
        >>> len(concatenate([np.zeros(2, EVENT), np.zeros(0, EVENT)]))
        2
    """
    offsets = np.cumsum([0, *map(len, recordings)])
    events = np.concatenate([np.zeros(0, EVENT), *recordings])
    return EventSamples(PackedEvents(events, offsets), np.arange(len(recordings)))
