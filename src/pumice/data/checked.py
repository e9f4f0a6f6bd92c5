"""Recordings of events that keep to their dataset: its sensor, its clock, sorted by time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pumice.data.events import Events, EventSamples, in_order
from pumice.errors import InputError

Origin = Literal["zero", "first"]


def check_origin(origin: str) -> None:
    """Refuse an origin that there is not.

    Raises:
        InputError: It is neither "zero" nor "first".
    """
    if origin not in get_args(Origin):
        raise InputError(f"origin must be one of {', '.join(get_args(Origin))}, got {origin!r}")


@dataclass(frozen=True, eq=False)
class CheckedEvents:
    """Reads recordings, and refuses what an encoder would drop without a word.

    Events that are not sorted are sorted by time, those of equal times in the order of the file.

    Attributes:
        samples: The recordings as they are.
        where: Dataset and split, for messages.
        sensor_shape: (polarity, height, width) of the sensor.
        origin: Time 0: of the recording's clock ("zero"), or its first event ("first").
    """

    samples: EventSamples
    where: str
    sensor_shape: tuple[int, int, int]
    origin: Origin

    def name(self, index: int) -> str:
        """Dataset, split and recording."""
        return f"{self.where}, {self.samples.name(index)}"

    def __call__(self, index: int) -> Events:
        """One recording.

        Raises:
            InputError: An event lies outside the sensor, or before time 0.
        """
        events = self.samples[index]
        if not len(events):
            return events
        for field, size, remedy in zip("pyx", self.sensor_shape, REMEDIES, strict=True):
            low, high = int(events[field].min()), int(events[field].max())
            if low < 0 or high >= size:
                raise InputError(
                    f"{self.name(index)}: {field} must lie in 0..{size - 1}, got {low} to {high}; {remedy}"
                )
        events = in_order(events)
        first = int(events["t"][0])
        if self.origin == "first" and first:
            events = events.copy()
            events["t"] -= first
        elif first < 0:
            raise InputError(
                f"{self.name(index)}: times must be >= 0, got {first}; to begin each recording at its first event, "
                "make the dataset with origin='first' (in a recipe data.args.origin='first')"
            )
        return events


_SENSOR = "the dataset's sensor_shape (polarity, height, width) must be that of the recordings"
REMEDIES = ("write polarity as 0 (OFF) and 1 (ON), or change sensor_shape", _SENSOR, _SENSOR)


def checked(samples: EventSamples, where: str, sensor_shape: tuple[int, int, int], origin: Origin) -> EventSamples:
    """The same recordings, each checked when it is read.

    Args:
        samples: As they are, or checked: then they keep their place in messages.
        where: Dataset and split, for messages.
        sensor_shape: (polarity, height, width).
        origin: See `CheckedEvents`.
    """
    read = samples.read
    if isinstance(read, CheckedEvents):
        if (read.sensor_shape, read.origin) == (sensor_shape, origin):
            return samples
        return EventSamples(CheckedEvents(read.samples, read.where, sensor_shape, origin), samples.indices)
    everything = CheckedEvents(samples, where, sensor_shape, origin)
    return EventSamples(everything, np.arange(len(samples)))
