"""Events gathered into time steps."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pumice.data.checked import REMEDIES
from pumice.data.encoders import AbstractEncoder
from pumice.data.events import Events, EventSamples, in_order
from pumice.errors import InputError, PumiceWarning
from pumice.names import counted

BinMode = Literal["time", "count"]


@dataclass(frozen=True)
class EventBinner(AbstractEncoder):
    r"""Counts each pixel's and polarity's events per step, up to a limit.

    .. math:: x_{pyx}[k] = \min\Bigl(c_{max},\; \bigl|\{i : p_i = p, y_i = y, x_i = x, b_i = k\}\bigr|\Bigr)

    In mode "time", b = floor(t / window), and later events are left out; in mode "count" each step takes an
    equal share of the recording's N events in the order of their times, b_i = floor(i T / N).

    A recording all of whose events are left out for their times becomes zeros, with a warning.

    Attributes:
        steps: Time steps per recording, T >= 1.
        sensor_shape: (polarity, height, width) of the recordings.
        window: Microseconds per step, for mode "time".
        mode: "time" or "count".
        max_count: Largest value of a step, >= 1; 1 makes spikes.
        downsample: Side of the square of pixels that become one; must divide height and width (or be 1).

    Raises:
        InputError: A value does not fit.

    Example:
        >>> from pumice.data.events import pack_events
        >>> samples = pack_events(x=[1, 1, 0], y=[0, 0, 0], t=[0, 9, 25], p=[1, 1, 0], offsets=[0, 3])
        >>> binner = EventBinner(steps=3, sensor_shape=(2, 1, 2), window=10, max_count=2)
        >>> binner.encode(samples, np.random.default_rng(0))[0, 1, 0, 1].tolist()  # ON, row 0, column 1
        [2, 0, 0]
    """

    without_chance = True
    sensor_shape: tuple[int, int, int]
    window: float
    mode: BinMode = "time"
    max_count: int = 1
    downsample: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.window > 0:
            raise InputError(f"events: a step must last more than 0 microseconds, got {self.window}")
        if not 1 <= self.max_count <= 255:
            raise InputError(f"events: max_count must lie in 1..255, got {self.max_count}")
        if self.downsample < 1 or any(side > 1 and side % self.downsample for side in self.sensor_shape[1:]):
            raise InputError(
                f"events: downsample must divide the sensor's height and width {self.sensor_shape[1:]}, "
                f"got {self.downsample}"
            )

    @property
    def value_range(self) -> tuple[int, int]:
        """Event counts."""
        return 0, self.max_count

    @property
    def shape(self) -> tuple[int, int, int]:
        """(polarity, height, width) of what leaves the encoder."""
        polarities, *sides = self.sensor_shape
        height, width = (-(-side // self.downsample) for side in sides)
        return polarities, height, width

    def encode(self, samples: Any, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Bin each recording; `rng` is not used."""
        name = samples.name if isinstance(samples, EventSamples) else lambda _: "a recording"
        return np.stack([self.bin(events, name=name(index)) for index, events in enumerate(samples)])

    def steps_of(self, events: Events) -> npt.NDArray[np.int64]:
        """The step of each event, b; an event whose step is not in 0..T - 1 is left out.

        Args:
            events: Of one recording, sorted by time.

        Example:
            >>> from pumice.data.events import pack_events
            >>> events = pack_events(x=[0, 0], y=[0, 0], t=[9, 99], p=[0, 0], offsets=[0, 2])[0]
            >>> EventBinner(steps=2, sensor_shape=(1, 1, 1), window=10).steps_of(events).tolist()
            [0, 9]
        """
        if self.mode == "time":
            return np.floor(events["t"] / self.window).astype(np.int64)
        return np.arange(len(events)) * self.steps // max(len(events), 1)

    def bin(self, events: Events, *, name: str = "a recording") -> npt.NDArray[np.uint8]:
        """One recording, shape (polarity, height, width, T).

        Args:
            events: Its events, in any order.
            name: What a message calls it.

        Raises:
            InputError: A polarity that the sensor does not have.
        """
        polarities, height, width = self.sensor_shape
        if self.mode == "count":
            events = in_order(events)
        x, y, p = (events[field].astype(np.int64) for field in "xyp")
        if ((p < 0) | (p >= polarities)).any():
            raise InputError(f"{name}: p must lie in 0..{polarities - 1}, got {p.min()} to {p.max()}; {REMEDIES[0]}")
        step = self.steps_of(events)
        # Augmentations may move events off the sensor or out of the recording.
        inside = (step >= 0) & (step < self.steps)
        if len(events) and not inside.any():
            warnings.warn(f"{name}: {self.missed(events)}", PumiceWarning, stacklevel=2)
        inside &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
        shape = (*self.shape, self.steps)
        where = (p[inside], y[inside] // self.downsample, x[inside] // self.downsample, step[inside])
        counts = np.bincount(np.ravel_multi_index(where, shape), minlength=int(np.prod(shape)))
        return np.minimum(counts, self.max_count).astype(np.uint8).reshape(shape)

    def missed(self, events: Events) -> str:
        """What to say of a recording whose events are all left out for their times.

        Args:
            events: At least one event.
        """
        return (
            f"no event lies in the {counted(self.steps, 'step')} of {self.window:g} microseconds, times are "
            f"{events['t'].min()} to {events['t'].max()}; if its clock does not start at 0, make the dataset with "
            "origin='first' (in a recipe data.args.origin='first'), else a longer window (data.window) is needed"
        )
