import numpy as np
import pytest

from pumice.data import CrossingEncoder, load_fsdd
from pumice.errors import InputError


def test_the_official_split(fsdd_folder):
    data = load_fsdd(fsdd_folder, bands=8)
    assert (len(data.train), len(data.test)) == (40, 20)
    assert data.sensor_shape == (2, 5, 8)
    with np.load(fsdd_folder / "test.npz") as z:
        wave = z["audio"][z["offsets"][7] : z["offsets"][8]]
        assert data.test.labels.tolist() == z["label"].tolist()
    assert data.test.samples[7].tolist() == CrossingEncoder(bands=8).encode(wave).tolist()


def test_one_speaker_left_out(fsdd_folder):
    whole, out = load_fsdd(fsdd_folder, bands=8), load_fsdd(fsdd_folder, bands=8, leave_out="bob")
    assert (len(out.train), len(out.test)) == (30, 30)
    everything = [events.tolist() for split in (whole.train, whole.test) for events in split.samples]
    is_bob = [index // 20 == 1 for index in range(40)] + [index // 10 == 1 for index in range(20)]
    held_back = [events for events, bob in zip(everything, is_bob, strict=True) if bob]
    assert [events.tolist() for events in out.test.samples] == held_back
    assert "held back: speaker bob" in out.source


def test_the_cache_holds_the_same(fsdd_folder, tmp_path):
    cache = tmp_path / "cache"
    fresh = load_fsdd(fsdd_folder, bands=8)
    for _ in range(2):
        cached = load_fsdd(fsdd_folder, bands=8, cache=cache)
        assert [e.tolist() for e in cached.train.samples] == [e.tolist() for e in fresh.train.samples]
    assert len(list(cache.iterdir())) == 2
    load_fsdd(fsdd_folder, bands=9, cache=cache)
    assert len(list(cache.iterdir())) == 4


def test_an_unknown_speaker(fsdd_folder):
    with pytest.raises(InputError, match="no speaker 'eve' to leave out; there are: ann, bob"):
        load_fsdd(fsdd_folder, leave_out="eve")


def test_files_that_do_not_fit(fsdd_folder):
    with np.load(fsdd_folder / "test.npz") as z:
        arrays = dict(z)
    np.savez(fsdd_folder / "test.npz", **{**arrays, "offsets": arrays["offsets"][:-1]})
    with pytest.raises(InputError, match=r"test\.npz: audio, offsets, label and speaker do not fit"):
        load_fsdd(fsdd_folder)
    (fsdd_folder / "test.npz").unlink()
    with pytest.raises(InputError, match=r"fsdd is not there; looked for train\.npz, test\.npz"):
        load_fsdd(fsdd_folder)
