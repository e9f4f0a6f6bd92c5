"""MNIST from a folder that the user names; nothing is downloaded unless asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pumice.data.dataset import ImageDataset, Split
from pumice.data.folders import find_layout
from pumice.errors import InputError, MissingExtraError
from pumice.files.arrays import read_npz
from pumice.files.paths import possible_path
from pumice.files.reading import reading

IMAGE_SHAPE = (28, 28)
LAYOUTS = {"arrays": ("train.npz",), "torchvision's": ("MNIST/raw",)}


def load_mnist(root: str | Path | None, *, download: bool = False) -> ImageDataset:
    """MNIST: 60,000 digits to train with, 10,000 held back, 28x28 pixels of 0 to 255.

    Two layouts are read: `train.npz` and `test.npz`, each with `images` (N, 28, 28) uint8 and `labels` (N,);
    or torchvision's (`MNIST/raw/...-ubyte`, also gzipped).

    Args:
        root: The folder.
        download: Let torchvision fetch the files into `root` if neither layout is there (needs the internet).

    Raises:
        InputError: The folder or its files are missing, damaged, or of the wrong shape.
    """
    if download and root is not None:
        layout, folder = "torchvision's", possible_path(root)
    else:
        layout, folder = find_layout("mnist", root, LAYOUTS)
    read = _read_arrays if layout == "arrays" else _read_torchvision
    return ImageDataset(
        name="mnist",
        train=read(folder, train=True, download=download),
        test=read(folder, train=False, download=download),
        class_names=tuple("0123456789"),
        value_range=(0, 255),
        source="MNIST, Y. LeCun and C. Cortes (CC BY-SA 3.0)",
    )


def _read_arrays(folder: Path, *, train: bool, download: bool) -> Split:
    path = folder / ("train.npz" if train else "test.npz")
    return _split(path, *read_npz(path, ("images", "labels")))


def _read_torchvision(folder: Path, *, train: bool, download: bool) -> Split:
    try:
        from torchvision import datasets
    except ModuleNotFoundError as error:
        raise MissingExtraError("torchvision", "train", "torchvision's MNIST layout") from error
    with reading(folder, "torchvision's MNIST", InputError):
        data = datasets.MNIST(folder, train=train, download=download)
    return _split(folder, data.data.numpy(), data.targets.numpy())


def _split(path: Path, images: Any, labels: Any) -> Split:
    if images.ndim != 3 or images.shape[1:] != IMAGE_SHAPE or labels.shape != images.shape[:1]:
        raise InputError(
            f"{path}: expected images (N, 28, 28) and labels (N,), got {images.shape} and {labels.shape}"
        )
    return Split(images[:, None], labels.astype(np.int64) if np.issubdtype(labels.dtype, np.integer) else labels)
