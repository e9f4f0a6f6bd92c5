"""N-MNIST and DVS Gesture in each of their layouts, with made-up recordings."""

import os
import pickle

import numpy as np
import pytest

from pumice.data import load_dvs_gesture, load_nmnist
from pumice.errors import InputError


def atis_bytes(events):
    """N-MNIST's 40 bits an event: x, y, polarity and 23 bits of time."""
    rows = []
    for x, y, t, p in events:
        rows.append(bytes([x, y, (p << 7) | (t >> 16), (t >> 8) & 255, t & 255]))
    return b"".join(rows)


@pytest.fixture
def tonic_nmnist(tmp_path, rng):
    expected = {}
    for part in ("Train", "Test"):
        for digit in (3, 0):
            folder = tmp_path / "NMNIST" / part / str(digit)
            folder.mkdir(parents=True)
            for name in ("00002", "00001"):
                t = np.sort(rng.integers(0, 300_000, 20))
                events = [
                    (int(rng.integers(34)), int(rng.integers(34)), int(time), int(rng.integers(2))) for time in t
                ]
                (folder / f"{name}.bin").write_bytes(atis_bytes(events))
                expected[part, digit, name] = events
    return tmp_path, expected


def test_nmnist_arrays(nmnist_folder):
    data = load_nmnist(nmnist_folder)
    assert (len(data.train), len(data.test), data.sensor_shape) == (12, 5, (2, 34, 34))
    assert "a subset: 12 to train with, 5 held back" in data.source
    with np.load(nmnist_folder / "train.npz") as z:
        start, end = z["offsets"][3:5]
        for name in "xytp":
            np.testing.assert_array_equal(data.train.samples[3][name], z[name][start:end])


@pytest.mark.parametrize("cached", [False, True])
def test_nmnist_in_tonics_layout(tonic_nmnist, tmp_path, cached):
    folder, expected = tonic_nmnist
    data = load_nmnist(folder, cache=tmp_path / "cache" if cached else None)
    assert data.train.labels.tolist() == [0, 0, 3, 3]
    for index, key in enumerate([(0, "00001"), (0, "00002"), (3, "00001"), (3, "00002")]):
        place = ("Test", *key)
        assert data.test.samples[index].tolist() == expected[place]


@pytest.mark.parametrize("cached", [False, True])
def test_a_dataset_in_tonics_layout_pickles_for_worker_processes(tonic_nmnist, tmp_path, cached):
    folder, expected = tonic_nmnist
    data = load_nmnist(folder, cache=tmp_path / "cache" if cached else None)
    again = pickle.loads(pickle.dumps(data))
    assert again.train.samples[1].tolist() == expected["Train", 0, "00002"]


@pytest.mark.parametrize("keeps_date", [False, True])
def test_the_cache_notices_a_file_that_was_replaced_by_one_of_equal_size(tonic_nmnist, tmp_path, keeps_date):
    folder, _ = tonic_nmnist
    path = folder / "NMNIST" / "Train" / "0" / "00001.bin"
    load_nmnist(folder, cache=tmp_path / "cache")
    other, before = [(1, 2, 3, 1)] * 20, path.stat()
    new = path.with_suffix(".new")
    new.write_bytes(atis_bytes(other))
    if keeps_date:
        os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(path)
    assert path.stat().st_size == before.st_size
    assert load_nmnist(folder, cache=tmp_path / "cache").train.samples[0].tolist() == other


def test_a_file_whose_last_event_is_cut_off(tonic_nmnist):
    folder, _ = tonic_nmnist
    path = folder / "NMNIST" / "Train" / "0" / "00001.bin"
    whole = path.read_bytes()
    for length in range(len(whole) - 4, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"00001\.bin: cannot be read as events \(its last event is cut off\)"):
            load_nmnist(folder).train.samples[0]


def test_an_event_outside_the_sensor_is_refused_by_the_files_name(tonic_nmnist):
    folder, _ = tonic_nmnist
    (folder / "NMNIST" / "Test" / "3" / "00002.bin").write_bytes(atis_bytes([(3, 40, 5, 1)]))
    with pytest.raises(InputError, match=r"dataset nmnist, test split, .*00002\.bin: y must lie in 0\.\.33, got 40"):
        load_nmnist(folder).test.samples[3]


def test_recordings_whose_clock_does_not_start_at_0(nmnist_folder):
    plain = load_nmnist(nmnist_folder, origin="first").train.samples
    with np.load(nmnist_folder / "train.npz") as z:
        arrays = dict(z)
    arrays["t"] = arrays["t"].astype(np.int64) + 1_700_000_000_000_000
    np.savez(nmnist_folder / "train.npz", **arrays)
    moved = load_nmnist(nmnist_folder, origin="first").train.samples
    assert [events.tolist() for events in moved] == [events.tolist() for events in plain]
    assert {int(events["t"][0]) for events in moved} == {0}


def test_a_recording_that_was_lost(tonic_nmnist):
    folder, _ = tonic_nmnist
    data = load_nmnist(folder)
    (folder / "NMNIST" / "Train" / "0" / "00001.bin").unlink()
    with pytest.raises(InputError, match=r"00001\.bin: cannot be read as events"):
        data.train.samples[0]


def test_gestures_in_tonics_layout(tmp_path, rng):
    for part in ("Train", "Test"):
        for user in ("user02_led", "user01_lab"):
            folder = tmp_path / "DVSGesture" / f"ibmGesture{part}" / user
            folder.mkdir(parents=True)
            for label in (10, 2):
                columns = [rng.integers(0, 128, 9), rng.integers(0, 128, 9), rng.integers(0, 2, 9), np.arange(9)]
                np.save(folder / f"{label}.npy", np.stack(columns, 1).astype(np.float64))
    data = load_dvs_gesture(tmp_path)
    assert data.train.labels.tolist() == [10, 2, 10, 2]
    assert data.train.samples[0]["t"].tolist() == [1000 * ms for ms in range(9)]
    assert data.sample_shape == (2, 128, 128)


def test_the_clips(tmp_path, nmnist_folder):
    (nmnist_folder / "train.npz").rename(tmp_path / "clips.npz")
    data = load_dvs_gesture(tmp_path)
    assert len(data.train) == len(data.test) == 12
    assert "test split = training split" in data.source


@pytest.mark.parametrize("load", [load_nmnist, load_dvs_gesture])
def test_nothing_there(load, tmp_path):
    with pytest.raises(InputError, match=r"needs a folder: --data-root DIR with .* nothing is downloaded"):
        load(None)
    with pytest.raises(InputError, match="no such folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is not there; looked for"):
        load(tmp_path)


def test_empty_folders_of_tonics_layout_do_not_download(tmp_path):
    for part in ("Train", "Test"):
        (tmp_path / "NMNIST" / part).mkdir(parents=True)
    with pytest.raises(InputError, match="holds no recordings"):
        load_nmnist(tmp_path)


def test_damaged_arrays(nmnist_folder):
    with np.load(nmnist_folder / "test.npz") as z:
        arrays = dict(z)
    np.savez(nmnist_folder / "test.npz", **{**arrays, "x": arrays["x"][1:]})
    with pytest.raises(InputError, match=r"test\.npz: events: offsets must rise"):
        load_nmnist(nmnist_folder)
    np.savez(nmnist_folder / "test.npz", **{**arrays, "t": arrays["t"] / 1e6})
    with pytest.raises(InputError, match=r"test\.npz: t: must be whole numbers, got 0\..*multiply seconds by 1e6"):
        load_nmnist(nmnist_folder)
    np.savez(nmnist_folder / "test.npz", **{**arrays, "label": arrays["label"] + 0.9})
    with pytest.raises(InputError, match=r"test\.npz: label: must be whole numbers, got \d\.9 at index 0"):
        load_nmnist(nmnist_folder)
    np.savez(nmnist_folder / "test.npz", x=arrays["x"])
    with pytest.raises(InputError, match=r"test\.npz: must hold the arrays"):
        load_nmnist(nmnist_folder)
    (nmnist_folder / "test.npz").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"test\.npz: is not an .npz archive"):
        load_nmnist(nmnist_folder)


def test_labels_out_of_range(nmnist_folder):
    with np.load(nmnist_folder / "test.npz") as z:
        arrays = dict(z)
    np.savez(nmnist_folder / "test.npz", **{**arrays, "label": arrays["label"] + 10})
    with pytest.raises(InputError, match=r"nmnist, test split: labels must lie in 0\.\.9"):
        load_nmnist(nmnist_folder)
