"""Datasets by name, for recipes and the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pumice.data.cifar10 import load_cifar10
from pumice.data.dataset import Dataset
from pumice.data.digits import load_digits
from pumice.data.dvs_gesture import load_dvs_gesture
from pumice.data.fsdd import load_fsdd
from pumice.data.mnist import load_mnist
from pumice.data.nmnist import load_nmnist
from pumice.errors import InputError

# Each but "digits" takes the folder and its own keyword arguments.
_LOADERS: dict[str, Callable[..., Dataset]] = {
    "digits": lambda _root: load_digits(),
    "mnist": load_mnist,
    "cifar10": load_cifar10,
    "nmnist": load_nmnist,
    "dvs_gesture": load_dvs_gesture,
    "fsdd": load_fsdd,
}
DATASET_NAMES = tuple(_LOADERS)


def load_dataset(name: str, root: str | Path | None = None, **arguments: Any) -> Any:
    """The dataset called `name`.

    Args:
        name: One of `DATASET_NAMES`.
        root: Folder with the data, for datasets that are not bundled.
        **arguments: The dataset's own.

    Returns:
        An `ImageDataset` or an `EventDataset`.

    Raises:
        InputError: There is no such dataset, it does not take these arguments, or its files are not usable.

    Example:
        >>> load_dataset("digits").image_shape
        (1, 8, 8)
    """
    if name not in _LOADERS:
        raise InputError(f"unknown dataset {name!r}; there are: {', '.join(DATASET_NAMES)}")
    allowed = list(inspect.signature(_LOADERS[name]).parameters)[1:]
    unknown = [key for key in arguments if key not in allowed]
    if unknown:
        raise InputError(
            f"dataset {name!r} takes no argument {', '.join(unknown)}; it takes: {', '.join(allowed) or 'none'}"
        )
    return _LOADERS[name](root, **arguments)
