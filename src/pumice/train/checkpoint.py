"""A training run on disk: enough to continue it bit for bit, and to lower its network."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from pumice.data import Dataset, EventDataset, EventSamples, ImageDataset, SequenceDataset, Split
from pumice.data.events import EVENT, concatenate
from pumice.data.image_files import in_memory
from pumice.errors import FileFormatError, InputError, ResourceError
from pumice.files.paths import possible_path
from pumice.train.checkpoint_file import NO_CHECKPOINT, read_values, write_values
from pumice.train.finite import first_not_finite
from pumice.train.history import EpochRecord
from pumice.train.position import Position
from pumice.train.recipe import Recipe, make_recipe

FORMAT = "pumice-checkpoint"
VERSION = 2
EXCERPT_SIZE = 4
_OLD_CHECKPOINT = "this checkpoint was written by pumice 0.1; it is read until 0.3, and to train on renews it"


class Learning(NamedTuple):
    """What learns, where a checkpoint's weights are averages.

    Attributes:
        state: The network's `state_dict`.
        steps: Of the optimiser, within the phase.
    """

    state: dict[str, Any]
    steps: int

    @classmethod
    def of_file(cls, values: Any) -> Learning:
        """Of what a file holds.

        Raises:
            KeyError: A value is missing.
            TypeError: One is of another type.
        """
        if not isinstance(values["steps"], int) or values["steps"] < 0:
            raise TypeError(f"the steps of averaged weights must be a count, got {values['steps']!r}")
        return cls(_state(values["state"]), values["steps"])


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A run between two epochs, or between two steps within one.

    Attributes:
        recipe: Describes data, network and training.
        excerpt: The first few samples of the data, so that the network can be rebuilt and lowered without them.
        history: One record for each finished epoch.
        model_state: The network's `state_dict`.
        optimizer_state: The optimiser's `state_dict`, of the phase that the network is in.
        position: What of the current epoch is done, and the state of chance within it.
        best_state: `model_state` of the best epoch of the phase so far, where the recipe keeps that.
        learning: Where the recipe averages weights and a phase is under way: `model_state` has the averages, and this
            the weights that learn; and after how many steps.
    """

    recipe: Recipe
    excerpt: Dataset
    history: tuple[EpochRecord, ...]
    model_state: dict[str, Any]
    optimizer_state: dict[str, Any]
    position: Position = field(default_factory=Position)
    best_state: dict[str, Any] | None = None
    learning: Learning | None = None

    @property
    def is_deployed(self) -> bool:
        """Whether the network computes with the chip's integers."""
        return any(key.endswith(("deployed_vth_mant", "deployed_scale")) for key in self.model_state)


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
        "position": checkpoint.position.to_dict(),
    }
    if checkpoint.best_state is not None:
        values["best_state"] = checkpoint.best_state
    if checkpoint.learning is not None:
        values["learning"] = checkpoint.learning._asdict()
    try:
        write_values(values, Path(path))
    except InputError as error:
        kept = "the checkpoint from before is whole; " if Path(path).is_file() else ""
        raise InputError(f"{error}; {kept}make room or choose another place, then resume") from error


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint; only tensors and plain values are loaded, never pickled objects.

    Raises:
        FileFormatError: The file is missing, damaged (also where its bytes are not those that were written), or no
            checkpoint of this version, it asks for more memory than a file may, or a weight is not finite.
        ResourceError: There is not enough memory for it.
    """
    file = possible_path(path)
    values = read_values(file)
    if values.get("format") != FORMAT:
        raise FileFormatError(f"{file}: {NO_CHECKPOINT}")
    if values.get("version") != VERSION:
        raise FileFormatError(f"{file}: checkpoint version {values.get('version')}, this pumice reads {VERSION}")
    try:
        checkpoint = Checkpoint(
            recipe=make_recipe(values["recipe"], str(file), notice=_OLD_CHECKPOINT),
            excerpt=_unpack(values["excerpt"]),
            history=tuple(EpochRecord.from_dict(record) for record in values["history"]),
            model_state=_state(values["model_state"]),
            optimizer_state=dict(values["optimizer_state"]),
            position=Position.from_dict(values["position"]),
            best_state=None if values.get("best_state") is None else _state(values["best_state"]),
            learning=None if values.get("learning") is None else Learning.of_file(values["learning"]),
        )
    except MemoryError as error:
        raise ResourceError(f"{file}: there is not enough memory to read it") from error
    except Exception as error:  # whatever values of other types lead to
        reason = f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else str(error)
        raise FileFormatError(f"{file}: the checkpoint is damaged ({reason})") from error
    numbers = [(name, value) for name, value in checkpoint.model_state.items() if torch.is_tensor(value)]
    if (found := first_not_finite(numbers)) is not None:
        raise FileFormatError(
            f"{file}: {found}: its training diverged; train anew with a smaller learning rate (training.lr)"
        )
    return checkpoint


def excerpt(dataset: Dataset) -> Dataset:
    """The dataset's first few samples."""
    return dataset.limited(EXCERPT_SIZE, EXCERPT_SIZE)


def _state(values: Any) -> dict[str, Any]:
    """A `state_dict`: tensors by name, beside what modules keep of their own."""
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise TypeError(f"the weights are a {type(values).__name__}, and must be tensors by name")
    return values


_COMMON = ("name", "class_names", "source")
_OWN: dict[type[Dataset], tuple[str, ...]] = {
    ImageDataset: ("value_range",),
    SequenceDataset: ("value_range",),
    EventDataset: ("sensor_shape", "duration"),
}


def kept_kind(dataset: Dataset) -> type[Dataset]:
    """As which dataset a checkpoint keeps its excerpt: one of pumice's own, so that it is read without other code.

    Raises:
        InputError: It is of none of these kinds.
    """
    for kind in _OWN:
        if isinstance(dataset, kind):
            return kind
    raise InputError(
        f"a checkpoint keeps samples of an {', '.join(kind.__name__ for kind in _OWN)}, got a "
        f"{type(dataset).__name__}; derive it from one of them, or train without a checkpoint"
    )


def _pack(dataset: Dataset) -> dict[str, Any]:
    kind = kept_kind(dataset)
    values: dict[str, Any] = {"kind": kind.__name__}
    for name in (*_COMMON, *_OWN[kind]):
        value = getattr(dataset, name)
        values[name] = list(value) if isinstance(value, tuple) else value
    for name, split in (("train", dataset.train), ("test", dataset.test)):
        values[name] = [_pack_samples(split.samples), torch.tensor(split.labels)]
        if split.lengths is not None:
            values[name].append(torch.tensor(split.lengths))
    return values


def _unpack(values: dict[str, Any]) -> Dataset:
    kind = {cls.__name__: cls for cls in _OWN}[values["kind"]]
    arguments: dict[str, Any] = {}
    for name in (*_COMMON, *_OWN[kind]):
        value = values[name]
        arguments[name] = tuple(value) if isinstance(value, list) else value
    for name in ("train", "test"):
        samples, *others = values[name]
        arguments[name] = Split(_unpack_samples(samples), *(other.numpy() for other in others))
    dataset: Dataset = kind(**arguments)
    return dataset


def _pack_samples(samples: Any) -> Any:
    if not isinstance(samples, EventSamples):
        return torch.tensor(in_memory(samples))
    return [
        {name: torch.tensor(np.ascontiguousarray(events[name])) for name in EVENT.names or ()} for events in samples
    ]


def _unpack_samples(packed: Any) -> Any:
    if isinstance(packed, torch.Tensor):
        return packed.numpy()
    recordings = []
    for fields in packed:
        events = np.empty(len(fields["t"]), EVENT)
        for name in EVENT.names or ():
            events[name] = fields[name].numpy()
        recordings.append(events)
    return concatenate(recordings)
