"""The one shape that every dataset has here: samples, labels, and what they mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pumice.data.checked import Origin, check_origin, checked
from pumice.data.events import EventSamples
from pumice.data.image_files import ImageFiles
from pumice.data.levels import check_levels, to_levels
from pumice.errors import InputError
from pumice.fixedpoint.formats import STATE

IntArray = npt.NDArray[np.integer[Any]]
AnyDataset = TypeVar("AnyDataset", bound="Dataset")


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a dataset.

    Attributes:
        samples: Images, integers of shape (N, channel, height, width), in memory or in files (`ImageFiles`);
            sequences, (N, feature, time); or recordings of events.
        labels: Class indices, shape (N,). Or targets, numbers that are to be answered: floats of shape (N, n), or
            (N, n, T), one for each step.
        lengths: Of padded sequences of unequal length, the steps of each, shape (N,): what is behind them counts
            neither in a loss nor in an answer. None where all steps count.
    """

    samples: Any  # an array, EventSamples or ImageFiles: all take an index, a slice or an array of indices
    labels: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def images(self) -> IntArray:
        """The samples of an image dataset."""
        return self.samples

    def select(self, indices: Any) -> Split:
        """The samples at these indices, in this order."""
        lengths = None if self.lengths is None else self.lengths[indices]
        return Split(self.samples[indices], self.labels[indices], lengths)

    def first(self, n: int | None) -> Split:
        """The first `n` samples; all of them if `n` is None or larger than the split."""
        return self if n is None else self.select(slice(n))


@dataclass(frozen=True, eq=False)
class Dataset(ABC):
    """Labelled samples, split once and for all; checked when made.

    Attributes:
        name: For messages and model cards.
        train: What a network may learn from.
        test: Held back.
        class_names: Name of each label, or of each number of a target, in order.
        source: Where the data come from, and their licence.

    Raises:
        InputError: The splits or labels do not fit each other.
    """

    name: str
    train: Split
    test: Split
    class_names: tuple[str, ...]
    source: str = field(default="", kw_only=True)

    @property
    def has_targets(self) -> bool:
        """Whether numbers are to be answered, not a class."""
        return is_target(self.train.labels)

    def __post_init__(self) -> None:
        names: object = self.class_names
        if isinstance(names, str) or not hasattr(names, "__len__"):
            raise InputError(
                f"dataset {self.name}: class_names must be a tuple of names, one for each class, got {names!r}"
            )
        for where, split in self._splits():
            labels = split.labels
            if is_target(labels):
                _check_targets(where, split, len(self.class_names))
                continue
            if labels.shape != (len(split),) or not len(split):
                raise InputError(
                    f"{where}: expected N >= 1 samples and labels (N,), got {len(split)} and {labels.shape}"
                )
            if not np.issubdtype(labels.dtype, np.integer):
                raise InputError(f"{where}: labels must be integers, got {labels.dtype}")
            if int(labels.min()) < 0 or int(labels.max()) >= len(self.class_names):
                raise InputError(
                    f"{where}: labels must lie in 0..{len(self.class_names) - 1}, "
                    f"got {labels.min()} to {labels.max()}"
                )

        if is_target(self.train.labels) != is_target(self.test.labels):
            raise InputError(
                f"dataset {self.name}: one split has targets (floats), the other class indices (integers)"
            )
        if self.train.labels.shape[1:] != self.test.labels.shape[1:]:
            raise InputError(
                f"dataset {self.name}: train targets have shape {self.train.labels.shape[1:]}, test targets "
                f"{self.test.labels.shape[1:]}"
            )

    def _splits(self) -> Iterable[tuple[str, Split]]:
        for label, split in (("train", self.train), ("test", self.test)):
            where = f"dataset {self.name}, {label} split"
            _check_arrays(where, split)
            yield where, split

    @property
    @abstractmethod
    def sample_shape(self) -> tuple[int, int, int]:
        """(channel, height, width) of a sample before it is encoded."""

    def limited(self: AnyDataset, max_train: int | None, max_test: int | None) -> AnyDataset:
        """The same dataset with only the first samples of each split."""
        return replace(self, train=self.train.first(max_train), test=self.test.first(max_test))


def is_target(labels: Any) -> bool:
    """Whether labels are numbers to be answered, not class indices.

    Example:
        >>> is_target(np.zeros((4, 2))), is_target(np.zeros(4, int))
        (True, False)
    """
    return np.issubdtype(labels.dtype, np.floating)


def _check_arrays(where: str, split: Any) -> None:
    """What is no array has neither a type nor a shape to be judged by."""
    if not isinstance(split, Split):
        raise InputError(f"{where}: a Split(samples, labels) is needed, got {type(split).__name__}")
    arrays = {"labels": split.labels, "samples": split.samples}
    if split.lengths is not None:
        arrays["lengths"] = split.lengths
    for name, values in arrays.items():
        if isinstance(values, (list, tuple)) or hasattr(values, "detach"):
            got = type(values).__name__
            raise InputError(f"{where}: {name} must be a NumPy array, got a {got}; numpy.asarray({name}) makes one")


def value_bounds(name: str, value_range: Any) -> tuple[int, int]:
    """Smallest and largest value of a dataset.

    Raises:
        InputError: They are not.

    Example:
        >>> value_bounds("demo", (0, 255))
        (0, 255)
    """
    is_pair = isinstance(value_range, (tuple, list)) and len(value_range) == 2
    if is_pair and all(isinstance(n, int | np.integer) for n in value_range) and value_range[0] <= value_range[1]:
        low, high = map(int, value_range)
        if low < STATE.low or high > STATE.high:
            raise InputError(f"dataset {name}: values must fit 24 bits with sign, got {low} to {high}; scale them")
        return low, high
    raise InputError(
        f"dataset {name}: value_range must be two whole numbers, (smallest, largest), got {value_range!r}"
    )


def _check_targets(where: str, split: Split, n_names: int) -> None:
    targets = split.labels
    if targets.ndim not in {2, 3} or len(targets) != len(split) or not len(split) or targets.shape[1] != n_names:
        raise InputError(
            f"{where}: expected N >= 1 samples and targets (N, {n_names}) or (N, {n_names}, time), one name in "
            f"class_names for each number; got {len(split)} and {targets.shape}"
        )
    if not np.isfinite(targets).all():
        raise InputError(f"{where}: targets must be finite numbers")


@dataclass(frozen=True, eq=False)
class ImageDataset(Dataset):
    """Labelled images of integers.

    Attributes:
        name: For messages and model cards.
        train: What a network may learn from.
        test: Held back.
        class_names: Name of each label, in order.
        value_range: Smallest and largest pixel value that can occur.
        source: Where the data come from, and their licence.

    Raises:
        InputError: Shapes, types, labels or values do not fit each other.

    Example:
        >>> images, labels = np.zeros((4, 1, 8, 8), np.uint8), np.array([0, 1, 0, 1])
        >>> data = ImageDataset("demo", Split(images, labels), Split(images, labels), ("a", "b"), (0, 16))
        >>> data.image_shape
        (1, 8, 8)
    """

    value_range: tuple[int, int]

    def __post_init__(self) -> None:
        bounds = value_bounds(self.name, self.value_range)
        for where, split in self._splits():
            _check_images(where, split, bounds)
        super().__post_init__()
        for name, (_, split) in zip(("train", "test"), self._splits(), strict=True):
            samples = split.samples
            if isinstance(samples, np.ndarray) and not samples.dtype.isnative:  # torch takes no other byte order
                native = samples.astype(samples.dtype.newbyteorder("="))
                object.__setattr__(self, name, replace(split, samples=native))
        if self.train.images.shape[1:] != self.test.images.shape[1:]:
            raise InputError(
                f"dataset {self.name}: train images have shape {self.train.images.shape[1:]}, "
                f"test images {self.test.images.shape[1:]}"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channel, height, width)."""
        channel, height, width = self.train.images.shape[1:]
        return channel, height, width

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        """(channel, height, width)."""
        return self.image_shape

    def with_levels(self, levels: int | None) -> ImageDataset:
        """The same images on `levels` grey levels, 0 to levels - 1.

        The chip multiplies input values by 8-bit weights into a 24-bit state, so few levels leave more of the
        weights' range.

        Args:
            levels: 2 to 256, or None to leave the images as they are.
        """
        if levels is None:
            return self
        check_levels(levels)

        def requantized(split: Split) -> Split:
            images: Any = split.samples
            if isinstance(images, ImageFiles):
                return replace(split, samples=images.with_levels(levels))
            return Split(to_levels(images, self.value_range, levels), split.labels)

        return replace(self, train=requantized(self.train), test=requantized(self.test), value_range=(0, levels - 1))


@dataclass(frozen=True, eq=False)
class EventDataset(Dataset):
    """Labelled recordings of events, read one by one, checked and sorted by time when they are read.

    Time 0 of a recording is that of its own clock, however late its first event is. Where clocks run on from one
    recording to the next, or count from the camera's start or from 1970, `origin="first"` makes the first event
    of each recording its time 0. Which of the two holds is never guessed.

    Attributes:
        name: For messages and model cards.
        train: What a network may learn from.
        test: Held back.
        class_names: Name of each label, in order.
        sensor_shape: (polarity, height, width): what an event's p, y and x are below.
        duration: Time that an encoder covers if it is not told another, in microseconds.
        origin: "zero": times are those of the recordings; "first": from each recording's first event on.
        source: Where the data come from, and their licence.

    Raises:
        InputError: The splits hold no recordings of events, or labels do not fit. Later, when a recording is
            read: an event lies outside the sensor, or before time 0.

    Example:
        >>> from pumice.data.events import pack_events
        >>> spikes = pack_events(x=[3, 1], y=[0, 2], t=[10, 20], p=[1, 0], offsets=[0, 1, 2])
        >>> split = Split(spikes, np.array([0, 1]))
        >>> EventDataset("demo", split, split, ("a", "b"), (2, 4, 4), 1000).sample_shape
        (2, 4, 4)
    """

    sensor_shape: tuple[int, int, int]
    duration: int
    origin: Origin = field(default="zero", kw_only=True)

    def __post_init__(self) -> None:
        check_origin(self.origin)
        for where, split in self._splits():
            if not isinstance(split.samples, EventSamples):
                raise InputError(f"{where}: expected recordings of events, got {type(split.samples).__name__}")
        super().__post_init__()
        for name, (where, split) in zip(("train", "test"), self._splits(), strict=True):
            samples = checked(split.samples, where, self.sensor_shape, self.origin)
            object.__setattr__(self, name, Split(samples, split.labels))  # the class is frozen

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        """(polarity, height, width)."""
        return self.sensor_shape


def _check_images(where: str, split: Split, value_range: tuple[int, int]) -> None:
    images: Any = split.images
    labels = split.labels
    if images.ndim != 4 or labels.shape[:1] != images.shape[:1] or not len(images):
        raise InputError(
            f"{where}: expected images (N, channel, height, width) and labels (N,) with N >= 1, "
            f"got {images.shape} and {labels.shape}"
        )
    answers = np.issubdtype(labels.dtype, np.integer) or (is_target(labels) and labels.ndim > 1)
    if not (np.issubdtype(images.dtype, np.integer) and answers):
        raise InputError(f"{where}: images and labels must be integers, got {images.dtype} and {labels.dtype}")
    if isinstance(images, ImageFiles):
        return  # each is checked when it is read
    low, high = value_range
    if int(images.min()) < low or int(images.max()) > high:
        raise InputError(f"{where}: pixels must lie in {low}..{high}, got {images.min()} to {images.max()}")
