"""Datasets by name, for recipes and the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pumice import names
from pumice.data.cifar10 import load_cifar10
from pumice.data.dataset import Dataset
from pumice.data.digits import load_digits
from pumice.data.dvs_gesture import load_dvs_gesture
from pumice.data.fsdd import load_fsdd
from pumice.data.image_folder import load_image_folder
from pumice.data.image_shards import load_image_shards
from pumice.data.mnist import load_mnist
from pumice.data.nmnist import load_nmnist
from pumice.data.own_folder import load_folder
from pumice.errors import InputError

# Each may take the folder, as `root`, and its own keyword arguments.
_LOADERS: dict[str, Callable[..., Dataset]] = {
    "digits": load_digits,
    "mnist": load_mnist,
    "cifar10": load_cifar10,
    "nmnist": load_nmnist,
    "dvs_gesture": load_dvs_gesture,
    "fsdd": load_fsdd,
    "folder": load_folder,
    "image_folder": load_image_folder,
    "image_shards": load_image_shards,
}
DATASET_NAMES = tuple(_LOADERS)

ARGUMENTS_FROM_FILES: dict[str, frozenset[str]] = {
    "digits": frozenset(),
    "mnist": frozenset(),
    "cifar10": frozenset({"jpeg_test"}),
    "nmnist": frozenset({"origin"}),
    "dvs_gesture": frozenset({"origin"}),
    "fsdd": frozenset({"leave_out", "bands", "spacing"}),
    "folder": frozenset(
        {"test_share", "seed", "value_range", "sensor_shape", "duration_us", "origin", "class_names"}
    ),
    "image_folder": frozenset({"part", "channels", "transforms", "train_transforms", "seed"}),
    "image_shards": frozenset({"part", "channels", "transforms", "train_transforms", "seed", "class_names"}),
}
"""What a file may say of a dataset: arguments that choose samples, never where to write or whether to download."""


def load_dataset(name: str, root: str | Path | None = None, /, **arguments: Any) -> Any:
    """The dataset called `name`.

    Args:
        name: One of `DATASET_NAMES`, or "package.module:function" of your own, which gives a `Dataset`.
        root: Folder with the data, for datasets that are not bundled; a function of your own is given it if it has
            an argument of the name.
        **arguments: The dataset's own.

    Returns:
        An `ImageDataset`, an `EventDataset` or a `SequenceDataset`.

    Raises:
        InputError: There is no such dataset, it does not take these arguments, or its files are not usable.

    Example:
        >>> load_dataset("digits").image_shape
        (1, 8, 8)
    """
    dataset = names.make(name, _LOADERS, "dataset", arguments, root=root)
    if not isinstance(dataset, Dataset):
        raise InputError(f"dataset {name!r} gives a {type(dataset).__name__}, and must give a pumice.data.Dataset")
    return dataset
