"""A training run on disk: enough to continue it bit for bit, and to lower its network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pumice.data import ImageDataset, Split
from pumice.errors import FileFormatError
from pumice.netx.atomic import replace_atomically
from pumice.train.history import EpochRecord
from pumice.train.recipe import Recipe, make_recipe

FORMAT = "pumice-checkpoint"
VERSION = 1
EXCERPT_SIZE = 4


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A run after some epochs.

    Chance needs no state of its own: each epoch's random streams follow from the recipe's seed and the epoch's
    number.

    Attributes:
        recipe: Describes data, network and training.
        excerpt: The first few samples of the data, so that the network can be rebuilt and lowered without them.
        history: One record for each finished epoch.
        model_state: The network's `state_dict`.
        optimizer_state: The optimiser's `state_dict`, of the last epoch's phase.
    """

    recipe: Recipe
    excerpt: ImageDataset
    history: tuple[EpochRecord, ...]
    model_state: dict[str, Any]
    optimizer_state: dict[str, Any]


def save_checkpoint(checkpoint: Checkpoint, path: str | os.PathLike[str]) -> None:
    """Write a checkpoint: the file is either the new one, whole, or the old one.

    Raises:
        InputError: The file cannot be written.
    """
    values = {
        "format": FORMAT,
        "version": VERSION,
        "recipe": checkpoint.recipe.model_dump(),
        "excerpt": _pack(checkpoint.excerpt),
        "history": [record.to_dict() for record in checkpoint.history],
        "model_state": checkpoint.model_state,
        "optimizer_state": checkpoint.optimizer_state,
    }
    with replace_atomically(path) as temporary:
        torch.save(values, temporary)


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint; only tensors and plain values are loaded, never pickled objects.

    Raises:
        FileFormatError: The file is missing, damaged, or no checkpoint of this version.
    """
    file = Path(path)
    if not file.is_file():
        raise FileFormatError(f"{file}: no such file")
    try:
        values = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise FileFormatError(f"{file}: cannot be read as a checkpoint ({type(error).__name__}: {reason})") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise FileFormatError(f"{file}: is not a pumice checkpoint")
    if values.get("version") != VERSION:
        raise FileFormatError(f"{file}: checkpoint version {values.get('version')}, this pumice reads {VERSION}")
    try:
        return Checkpoint(
            recipe=make_recipe(values["recipe"], str(file)),
            excerpt=_unpack(values["excerpt"]),
            history=tuple(EpochRecord(**record) for record in values["history"]),
            model_state=values["model_state"],
            optimizer_state=values["optimizer_state"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # InputError is a ValueError
        raise FileFormatError(f"{file}: the checkpoint is damaged ({error})") from error


def excerpt(dataset: ImageDataset) -> ImageDataset:
    """The dataset's first few samples."""
    return dataset.limited(EXCERPT_SIZE, EXCERPT_SIZE)


def _pack(dataset: ImageDataset) -> dict[str, Any]:
    splits = {"train": dataset.train, "test": dataset.test}
    return {
        "name": dataset.name,
        "class_names": list(dataset.class_names),
        "value_range": list(dataset.value_range),
        "source": dataset.source,
        **{name: [torch.tensor(split.images), torch.tensor(split.labels)] for name, split in splits.items()},
    }


def _unpack(values: dict[str, Any]) -> ImageDataset:
    low, high = values["value_range"]
    train, test = (Split(*(array.numpy() for array in values[name])) for name in ("train", "test"))
    return ImageDataset(
        values["name"], train, test, tuple(values["class_names"]), (int(low), int(high)), values["source"]
    )
