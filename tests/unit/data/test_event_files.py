import h5py
import numpy as np
import pytest

from pumice.data import load_folder
from pumice.data.event_files import EventFiles, read_events
from pumice.errors import InputError


@pytest.fixture
def arrays(rng):
    n = 30
    t = np.sort(rng.integers(0, 1 << 23, n))
    return {"x": rng.integers(0, 34, n), "y": rng.integers(0, 34, n), "t": t, "p": rng.integers(0, 2, n)}


def rows(arrays):
    return list(zip(*(arrays[name].tolist() for name in "xytp"), strict=True))


def address_events(arrays):
    found = [bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for x, y, t, p in rows(arrays)]
    return b"".join(found)


def in_hdf5(path, arrays, group="", suffix=""):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[f"{group}{name}{suffix}"] = values


WRITERS = {
    "a.npz": lambda path, arrays: np.savez(path, **arrays),
    "a.bs2": lambda path, arrays: path.write_bytes(address_events(arrays)),
    "a.bin": lambda path, arrays: path.write_bytes(address_events(arrays)),
    "root.h5": in_hdf5,
    "group.hdf5": lambda path, arrays: in_hdf5(path, arrays, "events/"),
    "plural.h5": lambda path, arrays: in_hdf5(path, arrays, "events/", "s"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_each_format_gives_the_same_events(tmp_path, arrays, name):
    WRITERS[name](tmp_path / name, arrays)
    assert read_events(tmp_path / name).tolist() == rows(arrays)


def test_an_overflow_of_the_clock_in_nmnists_files_is_no_event(tmp_path):
    data = bytes([1, 2, 0, 0, 5, 0, 240, 0, 0, 0, 1, 2, 0, 0, 6])
    for suffix, events in (
        (".bin", [(1, 2, 5, 0), (1, 2, 8198, 0)]),
        (".bs2", [(1, 2, 5, 0), (0, 240, 0, 0), (1, 2, 6, 0)]),
    ):
        (tmp_path / f"a{suffix}").write_bytes(data)
        assert read_events(tmp_path / f"a{suffix}").tolist() == events


def test_a_folder_of_any_of_them_is_a_dataset(tmp_path, arrays):
    for part in ("train", "test"):
        for label in ("left", "right"):
            for name, write in WRITERS.items():
                (tmp_path / part / label).mkdir(parents=True, exist_ok=True)
                write(tmp_path / part / label / name, arrays)
    data = load_folder(tmp_path)
    assert len(data.train) == 2 * len(WRITERS)
    assert all(sample.tolist() == rows(arrays) for sample in data.train.samples)
    assert data.train.samples.name(0).endswith("train/left/a.bin")


@pytest.mark.parametrize("name", WRITERS)
def test_damage_is_named_by_the_file(tmp_path, arrays, name, rng):
    path = tmp_path / name
    WRITERS[name](path, arrays)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        read_events(path)
    with pytest.raises(InputError, match=r"nowhere.*"):
        read_events(tmp_path / f"nowhere{path.suffix}")


def test_arrays_that_do_not_fit(tmp_path, arrays):
    for change, told in (
        ({"x": arrays["x"][1:]}, "unequal lengths"),
        ({"p": arrays["p"][:, None]}, "it must hold arrays x, y, t, p"),
        ({"t": arrays["t"] + 0.5}, "t: must be whole numbers"),
        ({"x": arrays["x"] + (1 << 16)}, "x: must"),
    ):
        in_hdf5(tmp_path / "a.h5", arrays | change)
        with pytest.raises(InputError, match=rf"a\.h5: .*{told}"):
            read_events(tmp_path / "a.h5")


def test_a_file_that_claims_more_than_it_can_hold(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in "xytp":
            file.create_dataset(name, (1 << 40,), np.int64, chunks=(1024,))
    with pytest.raises(InputError, match="more events than a file of its size can"):
        read_events(tmp_path / "a.h5")


def test_other_files(tmp_path):
    with pytest.raises(InputError, match=r"end in \.npz, \.bin, \.bs2, \.aedat4"):
        read_events(tmp_path / "a.txt")
    assert EventFiles((tmp_path / "a.txt",)).name(0).endswith("a.txt")
