import pickle

import numpy as np
import pytest
import torch

from pumice.data import EventDataset, Split
from pumice.data.events import EVENT, concatenate
from pumice.errors import InputError, PumiceWarning
from pumice.train import Recipe
from pumice.train.batches import Batches, _Prepared
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
    for batch, other in zip(got, expected, strict=True):
        assert torch.equal(batch.x, other.x)
        assert torch.equal(batch.labels, other.labels)
        assert torch.equal(batch.samples, other.samples)


def test_every_sample_once(trained, digits):
    labels, samples = (torch.cat(part) for part in list(zip(*Batches(trained).epoch(1), strict=True))[1::2])
    assert labels.tolist() == digits.train.labels[samples.numpy()].tolist()
    assert sorted(samples.tolist()) == list(range(50))
    assert [len(x) for x, *_ in Batches(trained).epoch(1)] == [13, 13, 12, 12]


def test_streams_differ_and_repeat(trained):
    assert_equal(list(Batches(trained).epoch(3)), list(Batches(trained).epoch(3)))
    a, b = (torch.cat([x for x, *_ in Batches(trained).epoch(stream)]) for stream in (1, 2))
    assert not torch.equal(a, b)


@pytest.mark.parametrize("first", [1, 3, 4])
def test_what_is_left_of_an_epoch(trained, first):
    assert_equal(list(Batches(trained).epoch(2, first=first)), list(Batches(trained).epoch(2))[first:])


def test_processes_share_each_batch(trained):
    shares = [list(Batches(trained).epoch(2, rank=rank, world=3)) for rank in range(3)]
    for index, (x, labels, _, samples, _) in enumerate(Batches(trained).epoch(2)):
        for rank in range(3):
            assert torch.equal(shares[rank][index].x, x[rank::3])
            assert torch.equal(shares[rank][index].labels, labels[rank::3])
            assert torch.equal(shares[rank][index].samples, samples[rank::3])


@pytest.mark.parametrize("encoding", ["direct", "rate"])
def test_workers_change_nothing(recipe, digits, encoding):
    alone = start(recipe.overridden([f"data.encoding={encoding}"]), digits)
    helped = start(recipe.overridden([f"data.encoding={encoding}", "data.workers=2"]), digits)
    assert_equal(list(Batches(helped).epoch(1)), list(Batches(alone).epoch(1)))


def test_global_random_state_stays(trained):
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    list(Batches(trained).epoch(1))
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_noise_is_drawn_for_the_whole_batch_at_once(digits):
    """As the first release did: its networks can be made again bit for bit."""
    trained = start(Recipe(data={"max_train": 40, "noise": 1.5, "steps": 1}), digits)
    rng = np.random.default_rng([0, 1])
    (chosen,) = np.array_split(rng.permutation(40), 1)
    images = digits.train.images[chosen]
    expected = np.rint(images + rng.normal(0.0, 1.5, images.shape)).clip(0, 16)
    ((x, *_),) = Batches(trained).epoch(1)
    np.testing.assert_array_equal(x[..., 0].numpy(), expected)


def test_samples_come_as_they_are_where_nothing_changes_them(trained, digits):
    for x, labels, _, samples, _ in Batches(trained).epoch(3, is_augmented=False):
        np.testing.assert_array_equal(x[..., 0].numpy(), digits.train.images[samples.numpy()])
        assert labels.tolist() == digits.train.labels[samples.numpy()].tolist()
    run = event_run(0)
    drawn, plain = (torch.cat([x for x, *_ in Batches(run).epoch(1, is_augmented=on)]) for on in (True, False))
    assert plain.sum(0).nonzero().tolist() == [[0, 0, 0, 0], [1, 1, 1, 1]]  # two events, where they lie in all six
    assert not torch.equal(drawn, plain)


def event_run(workers, *overrides, late=()):
    """Six recordings of 100 microseconds, of which some begin after them."""
    recordings = [np.array([(0, 0, 10, 0), (1, 1, 90, 1)], EVENT) for _ in range(6)]
    for index in late:
        recordings[index]["t"] += 100
    split = Split(concatenate(recordings), np.arange(6) % 2)
    data = EventDataset("clicks", split, split, ("a", "b"), (2, 4, 4), 100)
    recipe = Recipe(
        data={"encoding": "time", "steps": 2, "augment": {"RandomShift": {"x": 1}}, "workers": workers},
        training={"batch_size": 3},
        network={"name": "feedforward", "args": {"layers": "8"}},
    )
    return start(recipe.overridden(list(overrides)), data)


def test_what_a_spawned_worker_is_sent_pickles(trained):
    for run, item in ((trained, (3, None)), (event_run(1), (3, None))):
        prepared = _Prepared(run, 1, is_augmented=True)
        (x, label, *_), (x2, label2, *_) = prepared[item], pickle.loads(pickle.dumps(prepared))[item]
        np.testing.assert_array_equal(x, x2)
        assert label == label2


@pytest.mark.parametrize("workers", [0, 1])
def test_a_recording_that_cannot_be_changed_is_named_in_one_line(workers):
    run = event_run(workers, 'data.augment={"DropEventByTime": {"duration_ratio": 2.0}}')
    with pytest.raises(InputError, match=r"^dataset clicks, train split, recording \d: data\.augment\.[^\n]*$"):
        list(Batches(run).epoch(1))


def test_a_recording_that_begins_after_the_last_step_is_named():
    with pytest.warns(PumiceWarning, match=r"train split, recording 5: no event lies in the 2 steps of 50 micros"):
        batches = list(Batches(event_run(0, late=[5])).epoch(1))
    assert sum(int(x.flatten(1).any(1).sum()) for x, *_ in batches) == 5


def test_a_clock_that_does_not_start_at_0_is_refused_before_training():
    with pytest.raises(InputError, match=r"recording 0, and all of the first 4: no event lies in .*origin='first'"):
        event_run(0, late=range(6))


def test_times_in_another_unit_are_noticed():
    many = [np.array([(0, 0, t, 0) for t in range(40)], EVENT)] * 4
    split = Split(concatenate(many), np.arange(4) % 2)
    data, recipe = EventDataset("clicks", split, split, ("a", "b"), (2, 4, 4), 100_000), event_run(0).recipe
    with pytest.warns(PumiceWarning, match="recording 0, and all of the first 4: every event lies in the first of"):
        start(recipe, data)
