import numpy as np
import pytest
import torch

from pumice.data import RateEncoder
from pumice.errors import InputError
from pumice.train import encode, predict, predict_counts


def test_ties_go_to_the_first_class():
    assert predict(np.array([[2, 3, 3], [0, 0, 0], [1, 0, 4]])).tolist() == [1, 0, 2]


def test_counts_do_not_depend_on_the_batch_size(digits):
    encoder = RateEncoder(3, (0, 16))
    images = digits.test.images[:11]
    model = torch.nn.Flatten(1, 3)  # spikes straight through: (batch, pixel, time)
    counts = [predict_counts(model, encoder, images, seed=2, batch_size=size) for size in (4, 11)]
    np.testing.assert_array_equal(counts[0], counts[1])
    stream = np.concatenate([*encode(encoder, images, seed=2)])
    np.testing.assert_array_equal(counts[0], stream.reshape(11, 64, 3).sum(-1))


def test_the_mode_is_restored(digits):
    model = torch.nn.Flatten(1, 3).train()
    predict_counts(model, RateEncoder(1, (0, 16)), digits.test.images[:2])
    assert model.training


def test_an_answer_that_is_not_finite_is_no_class(digits):
    """numpy's argmax takes NaN for the largest."""
    model = torch.nn.Sequential(torch.nn.Flatten(1, 3), torch.nn.Linear(1, 1))
    model[1].bias.data[:] = torch.nan
    with pytest.raises(InputError, match=r"answers are not finite: its 1\.bias is nan"):
        predict_counts(model, RateEncoder(1, (0, 16)), digits.test.images[:2])
