"""CIFAR-10 from a folder that the user names; nothing is downloaded."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np

from pumice.data.dataset import ImageDataset, Split
from pumice.data.folders import find_layout
from pumice.data.whole import whole_numbers
from pumice.errors import InputError, MissingExtraError
from pumice.files.arrays import read_npz
from pumice.files.reading import reading

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IMAGE_SHAPE = (3, 32, 32)
TRAIN_FILES = tuple(f"train_{index}.npz" for index in range(10))
LAYOUTS = {"torchvision's": ("cifar-10-batches-py",), "arrays": TRAIN_FILES}
SOURCE = "CIFAR-10, A. Krizhevsky, V. Nair and G. Hinton"


def load_cifar10(root: str | Path | None, *, jpeg_test: bool = False) -> ImageDataset:
    """CIFAR-10: 50,000 colour images to train with, 32x32 pixels of 0 to 255, ten classes.

    Two layouts are read: torchvision's (`cifar-10-batches-py`), with the 10,000 official test images; or
    `train_0.npz` .. `train_9.npz` and `test_first1000.npz`, each with `labels` (N,) and `delta` (N, 3, 32, 32):
    differences down the rows, modulo 256, of R - G, G and B - G.

    Args:
        root: The folder.
        jpeg_test: In the second layout, test on all 10,000 images of `test10k_jpeg.npz`, which are JPEG
            (lossy: no official test accuracy), in place of the first 1,000 exact ones.

    Raises:
        InputError: The folder or its files are missing, damaged, or of the wrong shape.
    """
    layout, folder = find_layout("cifar10", root, LAYOUTS)
    if layout == "arrays":
        parts = [_read_delta(folder / name) for name in TRAIN_FILES]
        train = Split(np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts]))
        test = _read_jpeg(folder / "test10k_jpeg.npz") if jpeg_test else _read_delta(folder / "test_first1000.npz")
    else:
        train, test = (_read_torchvision(folder, train=train) for train in (True, False))
    which = {10_000: "", 1_000: "; test: the first 1,000 official images"}.get(len(test), "")
    if layout == "arrays" and jpeg_test:
        which = "; test: JPEG copies of the 10,000 official images"
    return ImageDataset("cifar10", train, test, CLASSES, (0, 255), source=SOURCE + which)


def _read_torchvision(folder: Path, *, train: bool) -> Split:
    try:
        from torchvision import datasets
    except ModuleNotFoundError as error:
        raise MissingExtraError("torchvision", "train", "torchvision's CIFAR-10 layout") from error
    with reading(folder, "torchvision's CIFAR-10", InputError):
        data = datasets.CIFAR10(folder, train=train, download=False)
    return _split(folder, data.data.transpose(0, 3, 1, 2), np.array(data.targets))


def _read_delta(path: Path) -> Split:
    delta, labels = read_npz(path, ("delta", "labels"))
    if delta.shape[1:] != IMAGE_SHAPE or delta.dtype != np.uint8:
        raise InputError(f"{path}: expected delta (N, 3, 32, 32) of uint8, got {delta.shape} of {delta.dtype}")
    images = np.cumsum(delta, axis=2, dtype=np.uint8)
    images[:, [0, 2]] += images[:, 1:2]
    return _split(path, images, labels)


def _read_jpeg(path: Path) -> Split:
    from PIL import Image

    data, offsets, labels = read_npz(path, ("jpeg", "offsets", "labels"))
    starts = whole_numbers(f"{path}: offsets", offsets)
    if not len(starts) or starts[0] or (np.diff(starts) < 1).any() or starts[-1] > data.size:
        raise InputError(f"{path}: offsets must rise from 0 to at most the {data.size} bytes of jpeg")
    images = []
    for index, (start, end) in enumerate(pairwise(starts)):
        with reading(f"{path}: jpeg {index}", "a JPEG image", InputError):
            image = Image.open(io.BytesIO(data[start:end].tobytes()), formats=["JPEG"])
            if image.size != IMAGE_SHAPE[1:]:  # before memory is taken for it
                raise ValueError(f"it has {image.size} pixels, not {IMAGE_SHAPE[1:]}")
            images.append(np.asarray(image.convert("RGB")).transpose(2, 0, 1))
    return _split(path, np.stack(images or [np.zeros(IMAGE_SHAPE, np.uint8)]), labels)


def _split(path: Path, images: np.ndarray, labels: np.ndarray) -> Split:  # type: ignore[type-arg]
    if images.shape[1:] != IMAGE_SHAPE or labels.shape != images.shape[:1]:
        raise InputError(
            f"{path}: expected images (N, 3, 32, 32) and labels (N,), got {images.shape} and {labels.shape}"
        )
    return Split(images, whole_numbers(f"{path}: labels", labels))
