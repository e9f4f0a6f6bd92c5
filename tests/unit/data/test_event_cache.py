import pickle

import numpy as np
import pytest

from pumice.data.event_cache import cached_events
from pumice.data.events import EVENT
from pumice.errors import InputError


def made(*sizes):
    recordings = []
    for size in sizes:
        events = np.zeros(size, EVENT)
        events["t"] = np.arange(size)
        recordings.append(events)
    return lambda: recordings


def never():
    pytest.fail("made a second time")


def test_found_is_what_was_made(tmp_path):
    first = cached_events(tmp_path / "c", {"name": "n", "a": 1}, made(3, 0, 2))
    again = cached_events(tmp_path / "c", {"a": 1, "name": "n"}, never)
    in_memory = cached_events(None, {}, made(3, 0, 2))
    for samples in (first, again, in_memory):
        assert [events["t"].tolist() for events in samples] == [[0, 1, 2], [], [0, 1]]
    assert isinstance(again[0].base, np.memmap)
    assert [path.name.partition("-")[0] for path in (tmp_path / "c").iterdir()] == ["n"]


def test_another_key_is_another_entry(tmp_path):
    cached_events(tmp_path, {"a": 1}, made(1))
    assert len(cached_events(tmp_path, {"a": 2}, made(1, 1))) == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_no_events_at_all(tmp_path):
    for _ in range(2):
        assert [len(e) for e in cached_events(tmp_path, {"a": 1}, made(0, 0))] == [0, 0]


def test_a_worker_process_is_not_sent_the_events(tmp_path):
    samples = cached_events(tmp_path, {"a": 1}, made(100_000, 3))
    sent = pickle.dumps(samples)
    assert len(sent) < 2000
    again = pickle.loads(sent)
    assert again[1]["t"].tolist() == [0, 1, 2]
    assert isinstance(again[1].base, np.memmap)


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def fails():
        yield np.zeros(2, EVENT)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_events(tmp_path, {"a": 1}, fails)
    assert not list(tmp_path.iterdir())


def test_a_damaged_entry(tmp_path):
    cached_events(tmp_path, {"a": 1}, made(3))
    (events,) = tmp_path.glob("*/events.bin")
    events.write_bytes(b"short")
    with pytest.raises(InputError, match=r"the cache is damaged .* delete this folder"):
        cached_events(tmp_path, {"a": 1}, never)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(InputError, match="the cache cannot be used"):
        cached_events(tmp_path / "cache", {"a": 1}, made(1))
