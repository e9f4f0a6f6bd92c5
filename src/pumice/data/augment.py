"""Small random changes of training samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.data.chance import seeded
from pumice.data.dataset import Dataset, EventDataset, ImageDataset
from pumice.data.events import Events, in_order
from pumice.data.picture_transforms import with_interpolation
from pumice.errors import InputError, MissingExtraError
from pumice.names import counted

IntArray = npt.NDArray[np.integer[Any]]

TONIC = (
    "Denoise", "DropEvent", "DropEventByArea", "DropEventByTime", "DropPixel", "EventDrop", "RandomDropPixel",
    "RandomFlipLR", "RandomFlipPolarity", "RandomFlipUD", "RandomTimeReversal", "RefractoryPeriod", "SpatialJitter",
    "TimeJitter", "TimeSkew", "UniformNoise",
)  # fmt: skip
"""Of `tonic.transforms`, by their own names."""
INDEX_BY_PIXEL = ("Denoise", "RefractoryPeriod")
"""They take column -1, where an earlier change has moved an event, for the last one."""
TORCHVISION = (
    "ElasticTransform", "RandomAffine", "RandomCrop", "RandomErasing", "RandomHorizontalFlip", "RandomRotation",
)  # fmt: skip
"""Of `torchvision.transforms`, by their own names."""
OWN = {"RandAugment": "pumice.data.rand_augment"}
"""Of pumice, for images, and the modules that have them: they need torch, which recordings of events do not."""


@dataclass(frozen=True)
class RandomShift:
    """Moves a whole recording by whole pixels, each shift alike; what leaves the sensor is lost.

    Attributes:
        x: Largest shift along the columns, >= 0.
        y: Largest shift along the rows, >= 0.
    """

    x: int = 0
    y: int = 0

    def __post_init__(self) -> None:
        if min(self.x, self.y) < 0:
            raise ValueError(f"shifts must be >= 0, got {self.x} and {self.y}")

    def __call__(self, events: Events) -> Events:
        """Shifted copy, by numpy's global generator as tonic's transforms."""
        moved = events.copy()
        for name, most in (("x", self.x), ("y", self.y)):
            moved[name] += np.random.randint(-most, most + 1)  # noqa: NPY002
        return moved


class Augmentation:
    """Several changes, one after the other, each drawn anew for each sample.

    A recording without events stays as it is. Events are sorted by time after each change.

    Args:
        dataset: What the samples are of.
        chosen: Name -> keyword arguments, in order: for images torchvision's transforms and "RandAugment"
            (`pumice.data.rand_augment`), for events tonic's and "RandomShift". `sensor_size` and the like are filled
            in.

    Raises:
        InputError: There is no such change for this dataset, or it does not take these arguments.

    Attributes:
        steps: Each change, by its name.

    Example:
        >>> from pumice.data import load_digits
        >>> change = Augmentation(load_digits(), {"RandomCrop": {"size": 8, "padding": 1}})
        >>> image = np.arange(64).reshape(1, 8, 8)
        >>> change(image, np.random.default_rng(1)).shape
        (1, 8, 8)
    """

    def __init__(self, dataset: Dataset, chosen: Mapping[str, Mapping[str, Any]]) -> None:
        self._is_image = isinstance(dataset, ImageDataset)
        self._shape = dataset.sample_shape
        self.steps = {name: _make(dataset, name, dict(arguments)) for name, arguments in chosen.items()}

    def __call__(self, sample: Any, rng: np.random.Generator, *, name: str = "") -> Any:
        """A changed copy of one sample.

        Args:
            sample: An image (channel, height, width), or events.
            rng: Source of chance.
            name: What messages call a recording of events.

        Raises:
            InputError: A change does not fit the sample, or an image's shape is not kept.
        """
        if not self.steps:
            return sample
        seed = int(rng.integers(2**32))
        if not self._is_image:
            try:
                with _numpy_seeded(seed):
                    return self._changed_events(sample)
            except InputError as error:
                if not name:
                    raise
                raise InputError(f"{name}: {error}") from error
        import torch

        image = torch.tensor(np.ascontiguousarray(sample))  # a copy: RandomErasing(inplace=True) writes into it
        with seeded(seed):
            for step_name, step in self.steps.items():
                image = applied(step_name, step, image)
        if image.shape != sample.shape:
            raise InputError(
                f"data.augment: an image of shape {sample.shape} became {tuple(image.shape)}; "
                "the network needs its shape, so choose arguments that keep it"
            )
        return image.numpy()

    def _changed_events(self, events: Events) -> Events:
        polarities, height, width = self._shape
        for name, step in self.steps.items():
            if name in INDEX_BY_PIXEL:
                x, y = events["x"], events["y"]
                events = events[(x >= 0) & (x < width) & (y >= 0) & (y < height)]
            if not len(events):  # tonic's transforms take minima and maxima
                break
            events = in_order(applied(name, step, events))  # tonic's TimeJitter mixes what others take for sorted
            if len(events) and int(events["p"].max()) >= polarities:
                raise InputError(
                    f"data.augment.{name}: makes polarity {events['p'].max()}, the sensor has {polarities}; "
                    "leave it out, or give it flip_polarities=false"
                )
        return events


def applied(name: str, step: Callable[[Any], Any], sample: Any) -> Any:
    """`step(sample)`; what a library finds wrong is an error of the change `name`."""
    try:
        return step(sample)
    except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"data.augment.{name}: {str(error) or 'an argument is out of range'}") from error


def _make(dataset: Dataset, name: str, arguments: dict[str, Any]) -> Callable[[Any], Any]:
    is_event = isinstance(dataset, EventDataset)
    allowed = (*TONIC, "RandomShift") if is_event else (*TORCHVISION, *OWN)
    if name not in allowed:
        kind = "events" if is_event else "images"
        raise InputError(f"data.augment: there is no {name!r} for {kind}; there are: {', '.join(allowed)}")
    factory: Any = RandomShift if name == "RandomShift" else _library_transform(name, is_event)
    wanted = {field.name for field in fields(factory)} if is_dataclass(factory) else set()
    if "sensor_size" in wanted:
        polarities, height, width = dataset.sample_shape
        arguments.setdefault("sensor_size", (width, height, polarities))
    if isinstance(dataset, ImageDataset) and "image_shape" in wanted:
        filled_in = {"image_shape": dataset.image_shape, "value_range": dataset.value_range}
        if given := sorted(filled_in.keys() & arguments.keys()):
            raise InputError(f"data.augment.{name}: {' and '.join(given)} follow from the data; leave them out")
        arguments.update(filled_in)
    if name == "RandomErasing":
        _check_erased(dataset, arguments.get("value", 0))
    try:
        if isinstance(arguments.get("interpolation"), str):  # torchvision takes numbers itself
            arguments = with_interpolation(arguments)
        # Ranges are lists in a recipe; tonic tells them from numbers by their being tuples.
        ranges = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
        made: Callable[[Any], Any] = factory(**ranges)
    except (AssertionError, TypeError, ValueError) as error:
        raise InputError(f"data.augment.{name}: {str(error) or 'an argument is out of range'}") from error
    return made


def _check_erased(dataset: Dataset, value: Any) -> None:
    """What is put in the place of pixels must be pixels; torchvision would cast anything."""
    assert isinstance(dataset, ImageDataset)
    (low, high), channels = dataset.value_range, dataset.sample_shape[0]
    values = value if isinstance(value, (list, tuple)) else [value]
    if len(values) not in {1, channels} or not all(type(v) is int and low <= v <= high for v in values):
        raise InputError(
            f"data.augment.RandomErasing: value must be an integer in {low}..{high} (a grey level), or one for each "
            f"of {counted(channels, 'channel')}, got {value!r}"
        )


def _library_transform(name: str, is_event: bool) -> Any:
    if name in OWN:
        return getattr(import_module(OWN[name]), name)
    package = "tonic" if is_event else "torchvision"
    try:
        transforms = import_module(f"{package}.transforms")
    except ModuleNotFoundError as error:
        raise MissingExtraError(package, "tonic" if is_event else "train", "augmentation") from error
    return getattr(transforms, name)


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """Seed numpy's global generator, which tonic uses, and put it back afterwards."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(seed)  # noqa: NPY002
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def with_noise(images: IntArray, noise: npt.NDArray[np.float64], value_range: tuple[int, int]) -> IntArray:
    """Add noise, round to integers, and clip to the range.

    Args:
        images: Integers of any shape.
        noise: Of the same shape, in grey levels.
        value_range: Smallest and largest value.

    Example:
        >>> with_noise(np.array([0, 8]), np.array([0.6, 99.0]), (0, 16)).tolist()
        [1, 16]
    """
    return np.rint(images + noise).clip(*value_range).astype(images.dtype)
