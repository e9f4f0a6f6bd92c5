"""Images in WebDataset's tar shards, as ImageNet comes for clusters, read from where they lie when needed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pumice.data.dataset import ImageDataset
from pumice.data.lazy_images import HELD_BACK, TRAIN, TRANSFORMS, held_back_part, images_in_files, picture_reader
from pumice.data.shard_index import ShardIndex, shard_index
from pumice.errors import InputError
from pumice.files.paths import possible_path
from pumice.files.reading import reading, shown
from pumice.files.text import name_problem

WORDS = {TRAIN: TRAIN, "val": "val", "validation": "val", "test": "test"}
"""A word in the name of a shard, or of its folder -> the part that it belongs to."""
SUFFIX, COMPRESSED = ".tar", (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_WANTED = (
    "image shards are DIR/train/NAME.tar and DIR/val/NAME.tar, or DIR/NAME-train-0000.tar and DIR/NAME-val-0000.tar "
    '("validation" and "test" will do, too)'
)


def load_image_shards(
    root: str | Path | None,
    *,
    part: str | None = None,
    channels: int = 3,
    transforms: Mapping[str, Mapping[str, Any]] = TRANSFORMS,
    train_transforms: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    class_names: Sequence[str] = (),
    cache: str | Path | None = None,
) -> ImageDataset:
    """Labelled images in few large files: WebDataset's tar archives of ``KEY.jpg`` (or .png ...) and ``KEY.cls``.

    A shard belongs to the part whose name is a word of its own name, or the name of its folder; shards are taken by
    name, and samples in the order of their shard. Where each lies is found once, front to back; then pictures are
    read by their place, in any order, so that runs are shuffled, shared and resumed as those of `load_image_folder`,
    of the same pictures in the same order with the same values.

    Args:
        root: The folder.
        part: "val" or "test": what is held back, where the folder has both.
        channels: 3 (RGB) or 1 (grey).
        transforms: See `load_image_folder`.
        train_transforms: See `load_image_folder`.
        seed: Samples come in an order that this draws.
        class_names: Of the labels 0, 1, ...; if not given their numbers, each of which must have a training sample.
        cache: A folder where the places are kept for the next time, until a shard changes; a recipe's `data.cache`.

    Raises:
        InputError: The folder does not hold what it should, a shard is compressed, damaged or cut off, a picture has
            no class, or an argument does not fit. Later, when an image is read: see `load_image_folder`; or its shard
            was changed meanwhile.
        FileFormatError: An image asks for more memory than a file may.

    Example:
        >>> import io, tarfile, tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name, labels in (("cats-train-00.tar", "01"), ("cats-val-00.tar", "0")):
        ...     with tarfile.open(folder / name, "w") as shard:
        ...         for key, label in enumerate(labels):
        ...             Image.new("RGB", (40, 30)).save(picture := io.BytesIO(), "png")
        ...             for ending, content in (("png", picture.getvalue()), ("cls", label.encode())):
        ...                 member = tarfile.TarInfo(f"{key}.{ending}")
        ...                 member.size = len(content)
        ...                 shard.addfile(member, io.BytesIO(content))
        >>> data = load_image_shards(folder, transforms={"Resize": {"size": 16}, "CenterCrop": {"size": 12}})
        >>> data.image_shape, len(data.train), data.class_names
        ((3, 12, 12), 2, ('0', '1'))
    """
    read = picture_reader(channels, transforms, train_transforms)
    if root is None:
        raise InputError(f"the image_shards dataset needs a folder: --data-root DIR; {_WANTED}")
    with reading(possible_path(root), "a folder", InputError):
        folder = Path(root).resolve()
    shards = _shards(folder)
    if TRAIN not in shards:
        raise InputError(f"{shown(folder)}: holds no shards of {TRAIN}; {_WANTED}")
    held_back = held_back_part(folder, part, [name for name in HELD_BACK if name in shards], _WANTED)
    train, test = (_index(folder, place, shards[place], cache) for place in (TRAIN, held_back))
    names = _class_names(folder, class_names, train)
    name = folder.name
    return images_in_files(
        name,
        (train, train.labels),
        (test, test.labels),
        names,
        read,
        seed=seed,
        source=f"images of the shards {name}",
    )


def _shards(folder: Path) -> dict[str, list[Path]]:
    """Shards of each part, by name."""
    found: dict[str, dict[str, list[Path]]] = {}
    for path in _files(folder):
        if path.is_dir() and path.name in WORDS:
            if inside := [inner for inner in _files(path) if _is_shard(inner)]:
                found.setdefault(WORDS[path.name], {})[path.name + "/"] = inside
            continue
        words = [word for word in re.split("[^a-z]+", path.name.lower()) if word in WORDS]
        if (words or path.suffix.lower() == SUFFIX) and _is_shard(path):
            if len({WORDS[word] for word in words}) != 1:
                raise InputError(f"{shown(path)}: its name says no part, or several; {_WANTED}")
            found.setdefault(WORDS[words[0]], {}).setdefault(f"*{words[0]}*{SUFFIX}", []).append(path)
    for part, places in found.items():
        if len(places) > 1:
            raise InputError(f"{shown(folder)}: holds shards of {part} in {' and '.join(sorted(places))}; keep one")
    return {part: sorted(paths) for part, places in found.items() for paths in places.values()}


def _files(folder: Path) -> list[Path]:
    with reading(folder, "a folder", InputError), os.scandir(folder) as entries:
        return [folder / entry.name for entry in entries if not entry.name.startswith(".")]


def _is_shard(path: Path) -> bool:
    if path.name.lower().endswith(COMPRESSED):
        raise InputError(f"{shown(path)}: is compressed, and a shard is read from any place; unpack it to a .tar")
    return path.suffix.lower() == SUFFIX


def _index(folder: Path, part: str, paths: Sequence[Path], cache: str | Path | None) -> ShardIndex:
    index = shard_index(paths, cache)
    if not len(index):
        raise InputError(f"{shown(folder)}: the shards of {part} hold no sample KEY.jpg, KEY.cls; {_WANTED}")
    return index


def _class_names(folder: Path, given: Sequence[str], train: ShardIndex) -> tuple[str, ...]:
    if not isinstance(given, (list, tuple)):
        raise InputError(f"class_names must be a list of texts, got {given!r}")
    for name in given:
        if (problem := name_problem(name)) is not None:
            raise InputError(f"class_names: a class's name {problem}")
    if given:
        return tuple(given)
    there = np.unique(train.labels)
    if len(gaps := np.flatnonzero(there != np.arange(len(there)))):
        raise InputError(
            f"{shown(folder)}: {TRAIN} holds no sample of class {gaps[0]}, and one of class {there[-1]}; classes "
            "count from 0; where some have no sample, say which there are: data.args.class_names"
        )
    return tuple(map(str, range(len(there))))
