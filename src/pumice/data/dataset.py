"""The one shape that every image dataset has here: integers, labels, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.errors import InputError

IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a dataset.

    Attributes:
        images: Integers, shape (N, channel, height, width).
        labels: Class indices, shape (N,).
    """

    images: IntArray
    labels: IntArray

    def __len__(self) -> int:
        return len(self.images)

    def first(self, n: int | None) -> Split:
        """The first `n` samples; all of them if `n` is None or larger than the split."""
        return self if n is None else Split(self.images[:n], self.labels[:n])


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Labelled images, split once and for all; checked when made.

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

    name: str
    train: Split
    test: Split
    class_names: tuple[str, ...]
    value_range: tuple[int, int]
    source: str = ""

    def __post_init__(self) -> None:
        for label, split in (("train", self.train), ("test", self.test)):
            _check_split(f"dataset {self.name}, {label} split", split, len(self.class_names), self.value_range)
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

    def limited(self, max_train: int | None, max_test: int | None) -> ImageDataset:
        """The same dataset with only the first samples of each split."""
        return replace(self, train=self.train.first(max_train), test=self.test.first(max_test))

    def with_levels(self, levels: int | None) -> ImageDataset:
        """The same images on `levels` grey levels, 0 to levels - 1.

        The chip multiplies input values by 8-bit weights into a 24-bit state, so few levels leave more of the
        weights' range.

        Args:
            levels: 2 to 256, or None to leave the images as they are.
        """
        if levels is None:
            return self
        if not 2 <= levels <= 256:
            raise InputError(f"grey levels must lie in 2..256, got {levels}")
        low, high = self.value_range

        def requantised(split: Split) -> Split:
            scaled = (split.images.astype(np.int32) - low) * (levels - 1)
            return Split(((scaled + (high - low) // 2) // (high - low)).astype(np.uint8), split.labels)

        return replace(self, train=requantised(self.train), test=requantised(self.test), value_range=(0, levels - 1))


def _check_split(where: str, split: Split, n_classes: int, value_range: tuple[int, int]) -> None:
    images, labels = split.images, split.labels
    if images.ndim != 4 or labels.shape != images.shape[:1] or not len(images):
        raise InputError(
            f"{where}: expected images (N, channel, height, width) and labels (N,) with N >= 1, "
            f"got {images.shape} and {labels.shape}"
        )
    if not (np.issubdtype(images.dtype, np.integer) and np.issubdtype(labels.dtype, np.integer)):
        raise InputError(f"{where}: images and labels must be integers, got {images.dtype} and {labels.dtype}")
    if int(labels.min()) < 0 or int(labels.max()) >= n_classes:
        raise InputError(f"{where}: labels must lie in 0..{n_classes - 1}, got {labels.min()} to {labels.max()}")
    low, high = value_range
    if int(images.min()) < low or int(images.max()) > high:
        raise InputError(f"{where}: pixels must lie in {low}..{high}, got {images.min()} to {images.max()}")
