"""What datasets of images that stay in their files have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.data.dataset import ImageDataset, Split
from pumice.data.image_files import EIGHT_BITS, MODES, ImageFiles, PictureList, PictureReader
from pumice.data.picture_transforms import DRAWN, PictureTransforms
from pumice.errors import InputError

TRAIN, HELD_BACK = "train", ("val", "test")
Transforms = Mapping[str, Mapping[str, Any]]
TRANSFORMS: Transforms = {"Resize": {"size": 256}, "CenterCrop": {"size": 224}}


def picture_reader(channels: int, transforms: Transforms, train_transforms: Transforms | None) -> PictureReader:
    """From a file to an image, as a recipe's `data.args` say.

    Raises:
        InputError: They do not fit.
    """
    if type(channels) is not int or channels not in MODES:
        raise InputError(f"channels must be one of {', '.join(map(str, MODES))}, got {channels!r}")
    fixed = PictureTransforms("data.args.transforms", transforms)
    drawn = None
    if train_transforms is not None:
        drawn = PictureTransforms("data.args.train_transforms", train_transforms, DRAWN)
    return PictureReader(channels, fixed, drawn)


def held_back_part(folder: Path, part: str | None, there: Sequence[str], wanted: str) -> str:
    """What is held back: the part that the user says, or the only one that is there.

    Raises:
        InputError: There is none, or both.
    """
    if part is not None and part not in HELD_BACK:
        raise InputError(f"part must be one of {', '.join(HELD_BACK)}, got {part!r}")
    chosen = [name for name in there if part in {None, name}]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise InputError(f'{folder}: holds {" and ".join(there)}; say which is held back: data.args.part="val"')
    raise InputError(f"{folder}: holds no {part or ' or '.join(HELD_BACK)}; {wanted}")


def images_in_files(
    name: str,
    train: tuple[PictureList, npt.NDArray[Any]],
    test: tuple[PictureList, npt.NDArray[Any]],
    class_names: tuple[str, ...],
    read: PictureReader,
    *,
    seed: int,
    source: str,
) -> ImageDataset:
    """A dataset of pictures and their classes; the first one is read, whose size must be that of all.

    Args:
        name: For messages and model cards.
        train: Pictures and their classes.
        test: Likewise.
        class_names: Name of each class.
        read: Reads a picture.
        seed: Files are sorted by class, so that the first ones say little; samples come in an order that this draws.
        source: Where the data come from.

    Raises:
        InputError: The first picture cannot be read, or classes do not fit.
    """
    if type(seed) is not int or seed < 0:
        raise InputError(f"data.args.seed must be an integer of at least 0, got {seed!r}")
    orders = [np.random.default_rng(seed).permutation(len(labels)) for _, labels in (train, test)]
    pictures, _ = train
    _, height, width = read(pictures[int(orders[0][0])]).shape
    shuffled, held_back = (
        Split(ImageFiles(found, read, order, (read.channels, height, width)), labels[order])
        for (found, labels), order in zip((train, test), orders, strict=True)
    )
    return ImageDataset(name, shuffled, held_back, class_names, EIGHT_BITS, source=source)
