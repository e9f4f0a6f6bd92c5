import numpy as np
import pytest
import torch

from pumice.data import ImageDataset, SequenceDataset, Split
from pumice.errors import InputError


def dataset(*, images=None, labels=None, value_range=(0, 16), test_images=None, class_names=("a", "b")):
    images = np.zeros((4, 1, 3, 3), np.uint8) if images is None else images
    labels = np.array([0, 1, 0, 1]) if labels is None else labels
    test = Split(images if test_images is None else test_images, labels)
    return ImageDataset("d", Split(images, labels), test, class_names, value_range)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((4, 3, 3), np.uint8)}, "expected images"),
        ({"images": np.zeros((4, 1, 3, 3))}, "must be integers"),
        ({"labels": np.array([0, 1, 0])}, "expected images"),
        ({"labels": np.array([0, 1, 2, 1])}, "labels must lie in 0..1"),
        ({"images": np.full((4, 1, 3, 3), 17)}, "pixels must lie in 0..16, got 17"),
        ({"images": np.zeros((0, 1, 3, 3), np.uint8), "labels": np.zeros(0, int)}, "N >= 1"),
        ({"test_images": np.zeros((4, 1, 2, 2), np.uint8)}, "test images"),
        ({"labels": [0, 1, 0, 1]}, r"train split: labels must be a NumPy array, got a list; numpy.asarray\(labels\)"),
        ({"labels": torch.tensor([0, 1, 0, 1])}, "labels must be a NumPy array, got a Tensor"),
        ({"images": torch.zeros(4, 1, 3, 3, dtype=torch.uint8)}, "samples must be a NumPy array, got a Tensor"),
        ({"images": np.zeros((4, 1, 3, 3), int).tolist()}, "samples must be a NumPy array, got a list"),
        ({"class_names": "ab"}, "class_names must be a tuple of names, .* got 'ab'"),
        ({"class_names": 2}, "class_names must be a tuple of names, .* got 2"),
        *(
            ({"value_range": wrong}, r"value_range must be two whole numbers, \(smallest, largest\), got")
            for wrong in (16, "x", (0, 1.5), (16, 0), (0, 8, 16))
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        dataset(**changes)


def test_limited_takes_the_first_samples(rng):
    data = dataset(images=rng.integers(0, 17, (4, 1, 3, 3)))
    limited = data.limited(3, None)
    assert (len(limited.train), len(limited.test)) == (3, 4)
    np.testing.assert_array_equal(limited.train.images, data.train.images[:3])


@pytest.mark.parametrize("levels", [2, 5, 16])
def test_levels_are_spread_evenly_and_both_ends_stay(levels):
    images = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    data = dataset(images=images, labels=np.array([0]), value_range=(0, 255)).with_levels(levels)
    got = data.train.images.ravel()
    np.testing.assert_array_equal(got, np.rint(np.arange(256) * (levels - 1) / 255))
    assert data.value_range == (0, levels - 1)


def test_levels_already_there_change_nothing(rng):
    data = dataset(images=rng.integers(0, 17, (4, 1, 3, 3)))
    np.testing.assert_array_equal(data.with_levels(17).train.images, data.train.images)
    assert data.with_levels(None) is data


def test_one_level_is_refused():
    with pytest.raises(InputError, match=r"2\.\.256"):
        dataset().with_levels(1)


def test_images_of_another_byte_order_are_brought_to_this_machines():
    images = np.arange(2 * 16).reshape(2, 1, 4, 4).astype(">i4")
    split = Split(images, np.array([0, 1]))
    dataset = ImageDataset("mine", split, split, ("a", "b"), (0, 31), source="drawn")
    assert dataset.train.images.dtype.isnative
    np.testing.assert_array_equal(dataset.test.images, images)


def test_what_is_no_split_is_refused():
    images, labels = np.zeros((4, 1, 3, 3), np.uint8), np.array([0, 1, 0, 1])
    with pytest.raises(InputError, match=r"dataset d, test split: a Split\(samples, labels\) is needed, got tuple"):
        ImageDataset("d", Split(images, labels), (images, labels), ("a", "b"), (0, 16))
    sequences = np.zeros((4, 2, 5), int)
    with pytest.raises(InputError, match="train split: lengths must be a NumPy array, got a list"):
        SequenceDataset("d", *2 * [Split(sequences, labels, [5] * 4)], ("a", "b"), (0, 1))
    with pytest.raises(InputError, match="value_range must be two whole numbers"):
        SequenceDataset("d", *2 * [Split(sequences, labels)], ("a", "b"), 1)
