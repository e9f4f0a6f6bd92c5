"""What `EventDataset` makes of recordings when they are read."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from pumice.data import EventDataset, Split, take_fold
from pumice.data.events import EVENT, concatenate
from pumice.errors import InputError


def events(*rows):
    return np.array(list(rows), EVENT)  # x, y, t, p


def dataset(*recordings, **arguments):
    split = Split(concatenate(list(recordings)), np.zeros(len(recordings), np.int64))
    return EventDataset("birds", split, split, ("a",), (2, 4, 6), 1000, **arguments)


GOOD = events((0, 0, 5, 0), (5, 3, 900, 1))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((6, 0, 0, 0), r"x must lie in 0\.\.5, got 0 to 6; the dataset's sensor_shape \(polarity, height, width\)"),
        ((-1, 0, 0, 0), r"x must lie in 0\.\.5, got -1 to 5"),
        ((0, 4, 0, 0), r"y must lie in 0\.\.3, got 0 to 4"),
        ((0, -1, 0, 0), r"y must lie in 0\.\.3, got -1 to 3"),
        ((0, 0, 0, -1), r"p must lie in 0\.\.1, got -1 to 1; write polarity as 0 \(OFF\) and 1 \(ON\)"),
        ((0, 0, 0, 2), r"p must lie in 0\.\.1, got 0 to 2"),
        ((0, 0, -1, 0), r"times must be >= 0, got -1; .* origin='first' .*data\.args\.origin='first'"),
    ],
)
def test_events_that_an_encoder_would_drop_are_refused_by_the_recordings_name(wrong, message):
    data = dataset(GOOD, np.concatenate([GOOD, events(wrong)]))
    assert data.test.samples[0].tolist() == GOOD.tolist()
    with pytest.raises(InputError, match=f"^dataset birds, test split, recording 1: {message}"):
        data.test.samples[1]


def test_times_of_a_recording_that_begins_late_are_kept():
    late = events((0, 0, 999, 0), (0, 0, 5000, 0))
    assert dataset(late).train.samples[0].tolist() == late.tolist()


@pytest.mark.parametrize("start", [-(2**40), -7, 0, 7, 80_048_239, 1_700_000_000_000_000])
def test_with_origin_first_a_recording_begins_at_its_first_event(start):
    moved = GOOD.copy()
    moved["t"] += start
    before = moved.copy()
    data = dataset(moved[::-1], np.zeros(0, EVENT), origin="first")
    assert data.train.samples[0]["t"].tolist() == [0, 895]
    assert data.train.samples[0]["x"].tolist() == [0, 5]
    assert len(data.train.samples[1]) == 0
    assert moved.tolist() == before.tolist()


def test_an_origin_that_there_is_not():
    with pytest.raises(InputError, match="origin must be one of zero, first, got 'last'"):
        dataset(GOOD, origin="last")


def test_events_are_sorted_by_time_and_equal_times_keep_their_order(rng):
    mixed = np.zeros(300, EVENT)
    mixed["t"] = rng.integers(0, 40, 300)
    mixed["x"], mixed["y"] = rng.integers(0, 6, 300), rng.integers(0, 4, 300)
    expected = sorted(mixed.tolist(), key=lambda event: event[2])  # Python's sort is stable
    assert dataset(mixed).train.samples[0].tolist() == expected


def test_sorted_events_are_not_copied():
    data = dataset(GOOD)
    assert np.shares_memory(data.train.samples[0], data.test.samples[0])


def test_a_part_of_a_dataset_is_checked_once_and_keeps_its_recordings_names():
    bad = events((9, 0, 0, 0))
    data = dataset(*[GOOD] * 6, bad)
    part = take_fold(replace(data, class_names=("a", "b")), 7, 0, seed=0).limited(4, None)
    names = [part.train.samples.name(index) for index in range(4)]
    assert all(name.startswith("dataset birds, train split, recording ") for name in names)
    assert not hasattr(part.train.samples.read.samples.read, "sensor_shape")
    last = data.train.select(np.array([0, 6])).samples
    with pytest.raises(InputError, match="train split, recording 6: x must"):
        last[1]


def test_another_sensor_or_origin_replaces_the_first():
    wide = events((40, 3, 7, 1))
    data = replace(dataset(wide), sensor_shape=(2, 4, 50), origin="first")
    assert data.train.samples[0].tolist() == [(40, 3, 0, 1)]
    assert replace(data, origin="zero").train.samples[0].tolist() == wide.tolist()


def test_it_pickles():
    again = pickle.loads(pickle.dumps(dataset(GOOD, origin="first")))
    assert again.train.samples[0]["t"].tolist() == [0, 895]
