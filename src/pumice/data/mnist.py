"""MNIST from a folder that the user names; nothing is downloaded unless asked for."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from pumice.data.dataset import ImageDataset, Split
from pumice.errors import InputError, MissingExtraError

IMAGE_SHAPE = (28, 28)


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
    if root is None:
        raise InputError(
            "the mnist dataset needs a folder: --data-root DIR with train.npz and test.npz, or torchvision's layout"
        )
    folder = Path(root)
    if (folder / "train.npz").exists():
        splits = {name: _read_npz(folder / f"{name}.npz") for name in ("train", "test")}
    elif download or (folder / "MNIST").is_dir():
        splits = {
            name: _read_torchvision(folder, train=name == "train", download=download) for name in ("train", "test")
        }
    elif not folder.is_dir():
        raise InputError(f"{folder}: no such folder; --data-root must name the folder that holds MNIST")
    else:
        raise InputError(f"{folder}: holds neither train.npz and test.npz nor torchvision's MNIST/raw")
    return ImageDataset(
        name="mnist",
        train=splits["train"],
        test=splits["test"],
        class_names=tuple("0123456789"),
        value_range=(0, 255),
        source="MNIST, Y. LeCun and C. Cortes (CC BY-SA 3.0)",
    )


def _read_npz(path: Path) -> Split:
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise TypeError("a single array")
            with archive:
                images, labels = archive["images"], archive["labels"]
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; both train.npz and test.npz are needed") from error
    except KeyError as error:
        raise InputError(f"{path}: must hold the arrays 'images' and 'labels' ({error.args[0]})") from error
    # A damaged archive, a truncated member, an array of Python objects (a pickle, which is never loaded), a .npy.
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: cannot be read as an npz file of integer arrays ({error})") from error
    return _split(path, images, labels)


def _read_torchvision(folder: Path, *, train: bool, download: bool) -> Split:
    try:
        from torchvision import datasets
    except ModuleNotFoundError as error:
        raise MissingExtraError("torchvision", "train", "torchvision's MNIST layout") from error
    try:
        data = datasets.MNIST(folder, train=train, download=download)
    except (RuntimeError, OSError, ValueError) as error:
        raise InputError(f"{folder}: torchvision cannot read MNIST there ({error})") from error
    return _split(folder, data.data.numpy(), data.targets.numpy())


def _split(path: Path, images: Any, labels: Any) -> Split:
    if images.ndim != 3 or images.shape[1:] != IMAGE_SHAPE or labels.shape != images.shape[:1]:
        raise InputError(
            f"{path}: expected images (N, 28, 28) and labels (N,), got {images.shape} and {labels.shape}"
        )
    return Split(images[:, None], labels.astype(np.int64) if np.issubdtype(labels.dtype, np.integer) else labels)
