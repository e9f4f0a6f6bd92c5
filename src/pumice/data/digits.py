"""scikit-learn's bundled digits: 1,797 real handwritten 8x8 digits that need no download."""

from __future__ import annotations

import numpy as np

from pumice.data.dataset import ImageDataset, Split
from pumice.errors import MissingExtraError

SPLIT_SEED = 0
TEST_FRACTION = 0.2


def load_digits() -> ImageDataset:
    """The digits, split 80/20 by class with a fixed seed: 1,437 to train with, 360 held back.

    The images are the test part of UCI's "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak,
    1998): 32x32 bitmaps, counted over 4x4 blocks, hence 17 grey levels.

    Returns:
        Images of shape (1, 8, 8) with values 0 to 16, ten classes.

    Raises:
        MissingExtraError: scikit-learn is not installed.

    Example:
        >>> data = load_digits()
        >>> len(data.train), len(data.test), data.value_range
        (1437, 360, (0, 16))
    """
    try:
        from sklearn import datasets, model_selection
    except ModuleNotFoundError as error:
        raise MissingExtraError("scikit-learn", "train", "the digits dataset") from error
    pixels, labels = datasets.load_digits(return_X_y=True)
    images = pixels.astype(np.uint8).reshape(-1, 1, 8, 8)
    train_images, test_images, train_labels, test_labels = model_selection.train_test_split(
        images, labels, test_size=TEST_FRACTION, stratify=labels, random_state=SPLIT_SEED
    )
    return ImageDataset(
        name="digits",
        train=Split(train_images, train_labels),
        test=Split(test_images, test_labels),
        class_names=tuple("0123456789"),
        value_range=(0, 16),
        source="UCI Optical Recognition of Handwritten Digits (CC BY 4.0), as shipped with scikit-learn",
    )
