import numpy as np
import pytest

from pumice.data import ImageDataset, Split, hold_out, take_fold
from pumice.errors import InputError


@pytest.fixture
def data():
    images = np.arange(60, dtype=np.int64).reshape(60, 1, 1, 1)
    train, test = Split(images, np.arange(60) % 3), Split(images[:5] + 100, np.arange(5) % 3)
    return ImageDataset("d", train, test, ("a", "b", "c"), (0, 200))


def values(split):
    return split.images.ravel().tolist()


def test_folds_share_the_training_split_out(data):
    folds = [take_fold(data, k=4, fold=fold, seed=1) for fold in range(4)]
    assert sorted(value for fold in folds for value in values(fold.test)) == list(range(60))
    for fold in folds:
        assert sorted(values(fold.train) + values(fold.test)) == list(range(60))
        assert np.bincount(fold.test.labels).tolist() == [5, 5, 5]
        assert fold.test.labels.tolist() == [value % 3 for value in values(fold.test)]


def test_the_seed_chooses(data):
    first, same, other = (values(take_fold(data, 4, 0, seed).test) for seed in (1, 1, 2))
    assert first == same != other


def test_validation_comes_from_the_training_split(data):
    rest, part = hold_out(data, 0.2, seed=0)
    assert sorted(values(rest.train) + values(part)) == list(range(60))
    assert np.bincount(part.labels).tolist() == [4, 4, 4]
    assert values(rest.test) == values(data.test)
    assert hold_out(data, 0.0, seed=0) == (data, None)


@pytest.mark.parametrize(("k", "fold"), [(1, 0), (4, 4), (4, -1), (61, 0), (30, 0)])
def test_numbers_that_do_not_fit(data, k, fold):
    with pytest.raises(InputError, match=r"data\.folds"):
        take_fold(data, k, fold, 0)


def test_a_part_that_is_too_small(data):
    with pytest.raises(InputError, match=r"data\.validation=0\.01"):
        hold_out(data, 0.01, seed=0)
