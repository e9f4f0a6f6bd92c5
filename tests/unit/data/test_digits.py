import numpy as np

from pumice.data import load_digits


def test_the_split_is_fixed_stratified_and_disjoint(digits):
    again = load_digits()
    np.testing.assert_array_equal(digits.test.images, again.test.images)
    np.testing.assert_array_equal(digits.train.labels, again.train.labels)
    assert (len(digits.train), len(digits.test)) == (1437, 360)
    assert np.bincount(digits.test.labels).min() >= 34
    assert int(digits.train.images.astype(int).sum() + digits.test.images.astype(int).sum()) == 561718


def test_images_are_small_integers(digits):
    assert digits.image_shape == (1, 8, 8)
    assert digits.train.images.dtype == np.uint8
    assert (digits.train.images.min(), digits.train.images.max()) == digits.value_range == (0, 16)
