"""Datasets by name, for recipes and the command line."""

from __future__ import annotations

from pathlib import Path

from pumice.data.dataset import ImageDataset
from pumice.data.digits import load_digits
from pumice.data.mnist import load_mnist
from pumice.errors import InputError

DATASET_NAMES = ("digits", "mnist")


def load_dataset(name: str, root: str | Path | None = None) -> ImageDataset:
    """The dataset called `name`.

    Args:
        name: One of `DATASET_NAMES`.
        root: Folder with the data, for datasets that are not bundled.

    Raises:
        InputError: There is no such dataset, or its files are not usable.

    Example:
        >>> load_dataset("digits").image_shape
        (1, 8, 8)
    """
    if name == "digits":
        return load_digits()
    if name == "mnist":
        return load_mnist(root)
    raise InputError(f"unknown dataset {name!r}; there are: {', '.join(DATASET_NAMES)}")
