"""Sequences of unequal length, and the recipes that they do not fit."""

import numpy as np
import pytest
import torch

from pumice.data import SequenceDataset, SequenceEncoder, Split, load_digits, pad_sequences
from pumice.errors import InputError
from pumice.train import PRESETS, load_checkpoint, restore, train


def data(low=0):
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    made = [rng.integers(low, 4, (rng.integers(3, 7), 5)) + 4 * label for label in labels]
    split = Split(pad_sequences(made), labels)
    return SequenceDataset("noise", split, split, ("low", "high"), (min(low, 0), 8))


def recipe(*more):
    return PRESETS["digits"].overridden(
        [
            "data.encoding=sequence",
            "data.steps=6",
            "data.gray_levels=null",
            "data.noise=0.0",
            "data.augment={}",
            "network.name=feedforward",
            'network.args={"layers": "12"}',
            "training.epochs=2",
            "training.finetune_epochs=1",
            "training.batch_size=10",
            *more,
        ]
    )


def test_padding_is_behind_the_end():
    encoder = SequenceEncoder(5, (-2, 9))
    samples = pad_sequences([[[1, -2], [3, 4]], [[5, 6]]])
    encoded = encoder.encode(samples, np.random.default_rng(0))
    assert encoded[:, :, 0, 0].tolist() == [[[1, 3, 0, 0, 0], [-2, 4, 0, 0, 0]], [[5, 0, 0, 0, 0], [6, 0, 0, 0, 0]]]
    assert encoder.value_range == (-2, 9)
    with pytest.raises(InputError, match=r"data\.steps=1 is shorter than a sequence of 2 steps"):
        SequenceEncoder(1, (0, 9)).encode(samples, np.random.default_rng(0))


def test_they_train_and_come_back_from_a_checkpoint(tmp_path):
    dataset, path = data(), tmp_path / "a.pt"
    trained = train(recipe(), dataset, checkpoint_path=path)
    again = restore(load_checkpoint(path))
    assert isinstance(again.dataset, SequenceDataset)
    assert torch.equal(again.model(again.example), trained.model.eval()(trained.example))
    assert trained.history[-1].test_accuracy > 0.6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["data.steps=5"], "data.steps=5: the longest sequence of noise has 6 steps"),
        (["data.encoding=direct"], "data.encoding=direct is not for sequences, which noise holds; use sequence"),
        (["data.noise=1.0"], "data.noise and data.augment are for images and events"),
    ],
)
def test_recipes_that_do_not_fit(settings, message):
    with pytest.raises(InputError, match=message):
        train(recipe(*settings), data())


def test_images_are_no_sequences():
    with pytest.raises(InputError, match=r"data\.encoding=sequence is not for images, which digits holds"):
        train(recipe(), load_digits())


@pytest.mark.parametrize(
    ("samples", "value_range", "message"),
    [
        (np.zeros((2, 3)), (0, 1), r"expected integers \(N, feature, time\)"),
        (np.zeros((2, 3, 4)), (0, 1), "got float64"),
        (np.full((2, 3, 4), 5), (0, 4), r"values must lie in 0\.\.4, which must hold 0, got 5 to 5"),
        (np.full((2, 3, 4), 5), (1, 9), r"1\.\.9, which must hold 0"),
    ],
)
def test_what_does_not_fit(samples, value_range, message):
    split = Split(samples, np.array([0, 1]))
    with pytest.raises(InputError, match=message):
        SequenceDataset("bad", split, split, ("a", "b"), value_range)
