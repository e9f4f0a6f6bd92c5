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


def test_the_cache_notices_that_the_same_sound_is_cut_elsewhere(fsdd_folder, tmp_path):
    load_fsdd(fsdd_folder, bands=8, cache=tmp_path / "cache")
    with np.load(fsdd_folder / "test.npz") as z:
        arrays = dict(z)
    arrays["offsets"][1] += 500
    np.savez(fsdd_folder / "test.npz", **arrays)
    fresh, cached = (load_fsdd(fsdd_folder, bands=8, cache=cache).test for cache in (None, tmp_path / "cache"))
    assert cached.samples[0].tolist() == fresh.samples[0].tolist()


def test_an_unknown_speaker(fsdd_folder):
    with pytest.raises(InputError, match="no speaker 'eve' to leave out; there are: ann, bob"):
        load_fsdd(fsdd_folder, leave_out="eve")


def test_files_that_do_not_fit(fsdd_folder):
    with np.load(fsdd_folder / "test.npz") as z:
        arrays = dict(z)
    offsets = arrays["offsets"]
    for wrong in (offsets[:-1], [0, *offsets[2:0:-1], *offsets[3:]], [1, *offsets[1:]]):
        np.savez(fsdd_folder / "test.npz", **{**arrays, "offsets": wrong})
        with pytest.raises(InputError, match=r"test\.npz: audio, offsets, label and speaker do not fit"):
            load_fsdd(fsdd_folder)
    for name, values in (("offsets", offsets + 0.5), ("label", arrays["label"] + 0.9)):
        np.savez(fsdd_folder / "test.npz", **{**arrays, name: values})
        with pytest.raises(InputError, match=rf"test\.npz: {name}: must be whole numbers, got 0\."):
            load_fsdd(fsdd_folder)
    (fsdd_folder / "test.npz").unlink()
    with pytest.raises(InputError, match=r"fsdd is not there; looked for train\.npz, test\.npz"):
        load_fsdd(fsdd_folder)
