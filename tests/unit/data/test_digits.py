import sys

import numpy as np
import pytest

from pumice.data import digits as module
from pumice.data import load_digits
from pumice.errors import InputError, MissingExtraError


def test_images_are_small_integers(digits):
    assert digits.image_shape == (1, 8, 8)
    assert digits.train.images.dtype == np.uint8
    assert (digits.train.images.min(), digits.train.images.max()) == digits.value_range == (0, 16)


def test_images_and_split_are_scikit_learns(digits):
    from sklearn import datasets, model_selection

    pixels, labels = datasets.load_digits(return_X_y=True)
    parts = model_selection.train_test_split(
        pixels.reshape(-1, 1, 8, 8), labels, test_size=0.2, stratify=labels, random_state=0
    )
    found = (digits.train.images, digits.test.images, digits.train.labels, digits.test.labels)
    for mine, theirs in zip(found, parts, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtraError, match="the digits dataset needs the package 'scikit-learn'"):
        load_digits()


@pytest.mark.parametrize(("text", "message"), [(None, "No such file"), (b"1,2\n3", "is not scikit-learn's file")])
def test_a_file_that_is_not_there_or_damaged(tmp_path, monkeypatch, text, message):
    monkeypatch.setattr(module, "_package", lambda: tmp_path)
    if text is not None:
        (tmp_path / "datasets" / "data").mkdir(parents=True)
        (tmp_path / "datasets" / "data" / "digits.csv.gz").write_bytes(text)
    with pytest.raises(InputError, match=message):
        load_digits()
