"""Images in files, each decoded when it is asked for: a dataset need not fit in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, overload

import numpy as np
import numpy.typing as npt

from pumice.data.levels import check_levels, to_levels
from pumice.data.picture_transforms import PictureTransforms
from pumice.data.pictures import as_colors, open_picture
from pumice.errors import InputError
from pumice.files.reading import shown
from pumice.files.tar import TarMember

IntArray = npt.NDArray[np.integer[Any]]
MODES = {1: "L", 3: "RGB"}
EIGHT_BITS = 0, 255


class PictureList(Protocol):
    """Where pictures lie, by index."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, index: int, /) -> Path | TarMember:
        """One's file, or its place in an archive."""


class PackedNames:
    """Texts, of which a million take tens of megabytes, and which worker processes share.

    Args:
        names: Names of files, as the system has them.

    Example:
        >>> names = PackedNames(["cat/1.png", "dog/2.png"])
        >>> len(names), names[1]
        (2, 'dog/2.png')
    """

    def __init__(self, names: Sequence[str]) -> None:
        encoded = [os.fsencode(name) for name in names]
        self.text = np.frombuffer(b"".join(encoded), np.uint8)
        self.ends = np.cumsum([0, *map(len, encoded)])

    @classmethod
    def unpacked(cls, text: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> PackedNames:
        """The names that had these `text` and `ends`.

        Raises:
            ValueError: They do not fit each other.
        """
        if text.dtype != np.uint8 or text.ndim != 1 or not len(ends):
            raise ValueError("it holds no names")
        if ends[0] or (np.diff(ends) < 0).any() or ends[-1] != len(text):
            raise ValueError("its names do not end where they should")
        names = cls([])
        names.text, names.ends = text, ends
        return names

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, index: int) -> str:
        return os.fsdecode(self.text[self.ends[index] : self.ends[index + 1]].tobytes())


class PackedPaths:
    """Paths below one folder.

    Args:
        root: The folder.
        names: Each file's path relative to it.

    Example:
        >>> paths = PackedPaths(Path("train"), ["cat/1.png", "dog/2.png"])
        >>> len(paths), str(paths[1])
        (2, 'train/dog/2.png')
    """

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self._root, self._names = root, PackedNames(names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> Path:
        return self._root / self._names[index]


@dataclass(frozen=True, eq=False)
class PictureReader:
    """From a file to an image of integers.

    Attributes:
        channels: 1 (grey) or 3 (RGB).
        transforms: Give every picture its size.
        drawn: The same for training, where chance has a part in it; None: as always.
        levels: Grey levels; None keeps 0 to 255.
    """

    channels: int
    transforms: PictureTransforms
    drawn: PictureTransforms | None = None
    levels: int | None = None

    def __call__(self, path: Path | TarMember, rng: np.random.Generator | None = None) -> IntArray:
        """One image, shape (channels, height, width), uint8.

        Args:
            path: The file, or its place in an archive.
            rng: Source of chance, for `drawn`; None: the picture as it is tested.

        Raises:
            InputError: The file is missing, damaged, no picture of 8 bits, or does not fit a transform.
            FileFormatError: It asks for more memory than a file may.
        """
        picture, budget = open_picture(path)
        picture = as_colors(picture, path, MODES[self.channels])
        chosen = self.transforms if rng is None or self.drawn is None else self.drawn
        try:
            picture = chosen(picture, budget, rng)
        except InputError as error:
            raise InputError(f"{shown(path)}: {error}") from error
        image = np.asarray(picture)
        image = image[None] if self.channels == 1 else image.transpose(2, 0, 1)
        return np.ascontiguousarray(image) if self.levels is None else to_levels(image, EIGHT_BITS, self.levels)


class ImageFiles:
    """A list of images, each read by index; a slice or an array of indices gives a shorter list.

    What it has of an array (`shape`, `ndim`, `dtype`) is that of all images together; `np.asarray` reads them all.

    Args:
        paths: Where they lie.
        read: Reads one.
        indices: Which of them, in order.
        image_shape: (channel, height, width) that each must have once it is read.

    Raises:
        InputError: When an image is read: see `PictureReader`, or it has another shape.

    Example:
        ::

            images = load_image_folder("imagenet").train.samples
            images[0].shape, len(images[:100])  # one is decoded, and a list of the first 100
    """

    ndim = 4
    dtype = np.dtype(np.uint8)

    def __init__(
        self,
        paths: PictureList,
        read: PictureReader,
        indices: npt.NDArray[np.int64],
        image_shape: tuple[int, int, int],
    ) -> None:
        self._paths, self._read, self._indices, self._image_shape = paths, read, indices, image_shape

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, channel, height, width)."""
        return (len(self), *self._image_shape)

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, key: int) -> IntArray: ...
    @overload
    def __getitem__(self, key: slice | npt.NDArray[Any]) -> ImageFiles: ...
    def __getitem__(self, key: Any) -> Any:
        chosen = self._indices[key]
        if np.ndim(chosen) == 0:
            return self._image(int(chosen), None)
        return ImageFiles(self._paths, self._read, chosen, self._image_shape)

    def __iter__(self) -> Iterator[IntArray]:
        return (self[index] for index in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> IntArray:
        found = np.stack([*self]) if len(self) else np.empty(self.shape, self.dtype)
        return found if dtype is None else found.astype(dtype)

    def drawn(self, index: int, rng: np.random.Generator) -> IntArray:
        """One image as training sees it: where the reader draws a part of the picture, another one each time."""
        return self._image(int(self._indices[index]), rng)

    def with_levels(self, levels: int) -> ImageFiles:
        """The same images on `levels` grey levels, 0 to levels - 1.

        Raises:
            InputError: It is not in 2..256, or the images have levels already.
        """
        check_levels(levels)
        if self._read.levels is not None:
            raise InputError(f"these images are read on {self._read.levels} grey levels already")
        return ImageFiles(self._paths, replace(self._read, levels=levels), self._indices, self._image_shape)

    def _image(self, index: int, rng: np.random.Generator | None) -> IntArray:
        path = self._paths[index]
        image = self._read(path, rng)
        if image.shape != self._image_shape:
            raise InputError(
                f"{shown(path)}: becomes an image of (channel, height, width) {image.shape}, and must become "
                f"{self._image_shape}; end the transforms, those of training too, with a crop of that size"
            )
        return image


def in_memory(samples: Any) -> Any:
    """Samples as encoders take them: images that lie in files are read.

    Example:
        >>> in_memory(np.zeros((2, 1, 3, 3))).shape
        (2, 1, 3, 3)
    """
    return np.asarray(samples) if isinstance(samples, ImageFiles) else samples
