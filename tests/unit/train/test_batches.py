import numpy as np
import pytest
import torch

from pumice.train import Recipe
from pumice.train.batches import epoch_batches
from pumice.train.trained import start


@pytest.fixture(scope="module")
def recipe():
    return Recipe(
        data={"max_train": 50, "noise": 1.5, "steps": 2, "augment": {"RandomCrop": {"size": 8, "padding": 1}}},
        training={"batch_size": 16},
        network={"args": {"channels": [2], "strides": [2]}},
    )


@pytest.fixture(scope="module")
def trained(recipe, digits):
    return start(recipe, digits)


def assert_equal(got, expected):
    assert len(got) == len(expected)
    for (x, labels), (x2, labels2) in zip(got, expected, strict=True):
        assert torch.equal(x, x2)
        assert torch.equal(labels, labels2)


def test_every_sample_once(trained, digits):
    labels = torch.cat([labels for _, labels in epoch_batches(trained, 1)])
    assert sorted(labels.tolist()) == sorted(digits.train.labels[:50].tolist())
    assert [len(x) for x, _ in epoch_batches(trained, 1)] == [13, 13, 12, 12]


def test_streams_differ_and_repeat(trained):
    assert_equal(list(epoch_batches(trained, 3)), list(epoch_batches(trained, 3)))
    a, b = (torch.cat([x for x, _ in epoch_batches(trained, stream)]) for stream in (1, 2))
    assert not torch.equal(a, b)


@pytest.mark.parametrize("first", [1, 3, 4])
def test_what_is_left_of_an_epoch(trained, first):
    assert_equal(list(epoch_batches(trained, 2, first=first)), list(epoch_batches(trained, 2))[first:])


def test_processes_share_each_batch(trained):
    shares = [list(epoch_batches(trained, 2, rank=rank, world=3)) for rank in range(3)]
    for index, (x, labels) in enumerate(epoch_batches(trained, 2)):
        for rank in range(3):
            assert torch.equal(shares[rank][index][0], x[rank::3])
            assert torch.equal(shares[rank][index][1], labels[rank::3])


@pytest.mark.parametrize("encoding", ["direct", "rate"])
def test_workers_change_nothing(recipe, digits, encoding):
    alone = start(recipe.overridden([f"data.encoding={encoding}"]), digits)
    helped = start(recipe.overridden([f"data.encoding={encoding}", "data.workers=2"]), digits)
    assert_equal(list(epoch_batches(helped, 1)), list(epoch_batches(alone, 1)))


def test_global_random_state_stays(trained):
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    list(epoch_batches(trained, 1))
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_noise_is_drawn_for_the_whole_batch_at_once(digits):
    """As the first release did: its networks can be made again bit for bit."""
    trained = start(Recipe(data={"max_train": 40, "noise": 1.5, "steps": 1}), digits)
    rng = np.random.default_rng([0, 1])
    (chosen,) = np.array_split(rng.permutation(40), 1)
    images = digits.train.images[chosen]
    expected = np.rint(images + rng.normal(0.0, 1.5, images.shape)).clip(0, 16)
    ((x, _),) = epoch_batches(trained, 1)
    np.testing.assert_array_equal(x[..., 0].numpy(), expected)
