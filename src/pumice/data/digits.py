"""scikit-learn's bundled digits: 1,797 real handwritten 8x8 digits that need no download."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pumice.data.dataset import ImageDataset, Split
from pumice.errors import InputError, MissingExtraError
from pumice.files.reading import reading

ORDER = Path(__file__).with_name("digits_split.txt")
"""Which digits are trained with, then which are tested: what scikit-learn's `train_test_split(numpy.arange(1797),
test_size=0.2, stratify=labels, random_state=0)` gives."""
N_TRAIN = 1437


def load_digits() -> ImageDataset:
    """The digits, split 80/20 by class once and for all: 1,437 to train with, 360 held back.

    The images are the test part of UCI's "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak,
    1998): 32x32 bitmaps, counted over 4x4 blocks, hence 17 grey levels.

    Returns:
        Images of shape (1, 8, 8) with values 0 to 16, ten classes.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        InputError: Its file of digits is not there, or damaged.

    Example:
        >>> data = load_digits()
        >>> len(data.train), len(data.test), data.value_range
        (1437, 360, (0, 16))
    """
    path = _package() / "datasets" / "data" / "digits.csv.gz"
    with reading(path, "scikit-learn's file of digits", InputError), gzip.open(path, "rt", encoding="ascii") as file:
        table = np.loadtxt(file, np.uint8, delimiter=",")
        images, labels = table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1].astype(np.int64)
        order = np.array(ORDER.read_text(encoding="ascii").split(), np.int64)
        train, test = (Split(images[part], labels[part]) for part in np.split(order, [N_TRAIN]))
    return ImageDataset(
        name="digits",
        train=train,
        test=test,
        class_names=tuple("0123456789"),
        value_range=(0, 16),
        source="UCI Optical Recognition of Handwritten Digits (CC BY 4.0), as shipped with scikit-learn",
    )


def _package() -> Path:
    """scikit-learn's folder; it is not imported, which takes seconds."""
    spec = find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("scikit-learn", "train", "the digits dataset")
    return Path(spec.submodule_search_locations[0])
