"""Images in torchvision's ImageFolder layout, as ImageNet comes, read from their files while they are needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pumice.data.dataset import ImageDataset
from pumice.data.image_files import PackedPaths
from pumice.data.lazy_images import HELD_BACK, TRAIN, TRANSFORMS, held_back_part, images_in_files, picture_reader
from pumice.data.pictures import IMAGE_SUFFIXES
from pumice.errors import InputError
from pumice.files.paths import possible_path
from pumice.files.reading import reading, shown
from pumice.files.text import name_problem

_WANTED = "an image folder holds train/CLASS/FILE and val/CLASS/FILE (or test/CLASS/FILE), images of any size"


def load_image_folder(
    root: str | Path | None,
    *,
    part: str | None = None,
    channels: int = 3,
    transforms: Mapping[str, Mapping[str, Any]] = TRANSFORMS,
    train_transforms: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
) -> ImageDataset:
    """Labelled images of any number and size, decoded one by one when they are asked for, never held in memory.

    The layout is that of torchvision's `ImageFolder`, and of ImageNet as it is unpacked for it: ``train/CLASS/FILE``
    and ``val/CLASS/FILE`` or ``test/CLASS/FILE``. Only names are read here. A picture is decoded by Pillow, made grey
    or RGB, brought to its size by torchvision's transforms, and is an image of 0 to 255. For small images that fit in
    memory, and for other kinds of data, `load_folder` is there.

    Args:
        root: The folder.
        part: "val" or "test": what is held back, where the folder has both.
        channels: 3 (RGB) or 1 (grey).
        transforms: Of `torchvision.transforms`, name -> arguments: "Resize", then "CenterCrop".
        train_transforms: The same for training: "Resize", "RandomResizedCrop", "RandomCrop", then "CenterCrop"; as
            in testing, if not given. Flips, and what else keeps an image's size, are `data.augment` of a recipe.
        seed: Files are sorted by class, so that the first ones say little; samples come in an order that this draws.

    Raises:
        InputError: The folder does not hold what it should, or an argument does not fit. Later, when an image is
            read: it is missing, damaged, no image of 8 bits, or of another size behind the transforms.
        FileFormatError: An image asks for more memory than a file may.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for place in ("train/cat", "train/dog", "val/cat"):
        ...     (folder / place).mkdir(parents=True)
        ...     Image.new("RGB", (40, 30)).save(folder / place / "0.png")
        >>> data = load_image_folder(folder, transforms={"Resize": {"size": 16}, "CenterCrop": {"size": 12}})
        >>> data.image_shape, len(data.train), data.class_names
        ((3, 12, 12), 2, ('cat', 'dog'))
    """
    read = picture_reader(channels, transforms, train_transforms)
    folder = _folder(root)
    there = [name for name in HELD_BACK if (folder / name).is_dir()]
    held_back = held_back_part(folder, part, there, _WANTED)
    names = _class_names(folder / TRAIN)
    strangers = {*_class_names(folder / held_back)} - {*names}
    if strangers:
        raise InputError(f"{folder / held_back}: holds {', '.join(sorted(strangers)[:5])}, no class of {TRAIN}/")
    train, test = (_listed(folder / place, names) for place in (TRAIN, held_back))
    source = f"images of the folder {folder.name}"
    return images_in_files(folder.name, train, test, names, read, seed=seed, source=source)


def _folder(root: str | Path | None) -> Path:
    if root is None:
        raise InputError(f"the image_folder dataset needs a folder: --data-root DIR; {_WANTED}")
    folder = possible_path(root)
    if not (folder / TRAIN).is_dir():
        raise InputError(f"{shown(folder)}: holds no folder {TRAIN}; {_WANTED}")
    return folder.resolve()


def _class_names(place: Path) -> tuple[str, ...]:
    with reading(place, "a folder", InputError), os.scandir(place) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise InputError(f"{place}: holds no sub-folders; {_WANTED}")
    for name in names:
        if (problem := name_problem(name)) is not None:
            raise InputError(f"{place}: a class's name {problem}")
    return tuple(names)


def _listed(place: Path, classes: tuple[str, ...]) -> tuple[PackedPaths, Any]:
    """Files of a part, and their classes."""
    names: list[str] = []
    counts: list[int] = []
    for name in classes:
        found = _files(place, name)
        names += found
        counts.append(len(found))
    if place.name == TRAIN and 0 in counts:
        raise InputError(f"{place / classes[counts.index(0)]}: holds no image; {_WANTED}")
    if not names:
        raise InputError(f"{place}: its sub-folders hold no image; {_WANTED}")
    return PackedPaths(place, names), np.repeat(np.arange(len(classes)), counts)


def _files(place: Path, name: str) -> list[str]:
    """A class's files, also in folders below it but not behind links to folders; what is hidden is left out."""
    found: list[str] = []
    folder = place / name
    if not folder.is_dir():
        return found
    with reading(folder, "a folder", InputError):
        for here, below, files in os.walk(folder, onerror=_raise):
            below[:] = [sub for sub in below if not sub.startswith(".")]
            found += [os.path.relpath(os.path.join(here, file), place) for file in files if not file.startswith(".")]
    for file in found:
        if not file.lower().endswith(IMAGE_SUFFIXES):
            raise InputError(
                f"{shown(place / file)}: is no image by its name ({', '.join(IMAGE_SUFFIXES)}); {_WANTED}"
            )
    return sorted(found)


def _raise(error: OSError) -> None:
    """`os.walk` would leave out, without a word, a folder that it cannot read."""
    raise error
