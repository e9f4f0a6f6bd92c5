"""A folder of a user's own files or arrays, without a class."""

import numpy as np
import pytest
from PIL import Image

from pumice.data import EventDataset, ImageDataset, SequenceDataset, load_dataset, load_folder
from pumice.errors import FileFormatError, InputError


def put(path, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)


def put_image(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def put_events(path, x=(1, 2), y=(0, 3), t=(10, 20), p=(1, 0)):
    put(path, x=np.array(x), y=np.array(y), t=np.array(t), p=np.array(p))


def put_sequence(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.save(file, values)


def put_text(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)


def image_folder(folder, parts=("train", "test"), n=3, side=(6, 5)):
    rng = np.random.default_rng(0)
    for part in parts:
        for label, name in enumerate(("cat", "dog")):
            for index in range(n):
                pixels = rng.integers(0, 100, side, dtype=np.uint8) + np.uint8(100 * label)
                put_image(folder / part / name / f"{index}.png", pixels)
    return folder


def test_images_by_class(tmp_path):
    data = load_folder(image_folder(tmp_path))
    assert isinstance(data, ImageDataset)
    assert (data.class_names, data.image_shape, data.value_range) == (("cat", "dog"), (1, 6, 5), (0, 255))
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.train.images[3:].min() >= 100 > data.train.images[:3].max()


def test_colour_and_grey(tmp_path):
    for index, value in enumerate((7, 9)):
        put_image(tmp_path / "train" / "a" / f"{index}.png", np.full((4, 3, 3), value, np.uint8))
    data = load_folder(tmp_path, test_share=0.5)
    assert data.image_shape == (3, 4, 3)
    assert sorted([int(data.train.images.max()), int(data.test.images.max())]) == [7, 9]


def test_16_bits_stay_and_hidden_folders_are_left_out(tmp_path):
    for index, value in enumerate((300, 47_300)):
        put_image(tmp_path / "train" / "a" / f"{index}.png", np.full((4, 3), value, np.uint16))
    put_image(tmp_path / "train" / "a" / ".cache" / "0.png", np.full((4, 3), 5, np.uint16))
    data = load_folder(tmp_path, test_share=0.5)
    assert data.image_shape == (1, 4, 3)
    assert sorted([int(data.train.images.max()), int(data.test.images.max())]) == [300, 47_300]
    assert data.value_range == (0, 47_300)


def test_a_class_keeps_a_sample_to_train_with(tmp_path):
    data = load_folder(image_folder(tmp_path, ("train",), n=2), test_share=0.9)
    assert data.train.labels.tolist() == data.test.labels.tolist() == [0, 1]


def test_the_time_of_recordings_that_count_from_the_start(tmp_path):
    for index in range(2):
        put_events(tmp_path / "train" / "a" / f"{index}.npz", t=(10**15, 10**15 + 99))
    assert load_folder(tmp_path, origin="first").duration == 100
    with pytest.raises(InputError, match="duration_us must be at least 1, got -5"):
        load_folder(tmp_path, duration_us=-5)


def test_events_by_class(tmp_path):
    for name in ("left", "right"):
        for index in range(3):
            put_events(tmp_path / "train" / name / f"{index}.npz", t=(10 + index, 500))
    put_events(tmp_path / "test" / "left" / "0.npz")
    data = load_folder(tmp_path)
    assert isinstance(data, EventDataset)
    assert (data.sensor_shape, data.duration, data.class_names) == ((2, 4, 3), 501, ("left", "right"))
    assert data.train.samples[2]["t"].tolist() == [12, 500]
    assert (len(data.train), len(data.test)) == (6, 1)
    larger = load_folder(tmp_path, sensor_shape=(2, 8, 8), duration_us=1000)
    assert (larger.sensor_shape, larger.duration) == ((2, 8, 8), 1000)


def test_arrays(tmp_path):
    put(tmp_path / "train.npz", images=np.arange(96).reshape(4, 2, 4, 3), labels=np.array([0, 1, 1, 0]))
    put(tmp_path / "test.npz", images=np.zeros((1, 2, 4, 3), int), labels=np.array([1]))
    data = load_folder(tmp_path, class_names=("no", "yes"))
    assert (data.image_shape, data.value_range, data.class_names) == ((2, 4, 3), (0, 95), ("no", "yes"))
    put(tmp_path / "train.npz", x=[1], y=[2], t=[3], p=[0], offsets=[0, 0, 1], label=[0, 1])
    put(tmp_path / "test.npz", x=[1], y=[2], t=[3], p=[0], offsets=[0, 1], label=[1])
    assert isinstance(load_folder(tmp_path), EventDataset)


def test_sequences_of_unequal_length(tmp_path):
    for name, values in (("up", [[1, 0], [2, 0], [3, 9]]), ("down", [[3, 1]])):
        for part in ("train", "test"):
            (tmp_path / part / name).mkdir(parents=True)
            np.save(tmp_path / part / name / "0.npy", np.array(values))
    np.savetxt(tmp_path / "test" / "up" / "1.csv", [[4, 4], [5, 5]], delimiter=",")
    data = load_folder(tmp_path)
    assert isinstance(data, SequenceDataset)
    assert (data.sample_shape, data.longest, data.value_range) == ((2, 1, 1), 3, (0, 9))
    assert data.train.samples.tolist() == [[[3, 0, 0], [1, 0, 0]], [[1, 2, 3], [0, 0, 9]]]
    assert data.test.samples[-1].tolist() == [[4, 5, 0], [4, 5, 0]]
    arrays = {"values": np.array([[1, 0], [2, 0], [3, 9], [3, 1]]), "offsets": [0, 3, 4], "labels": [1, 0]}
    put(tmp_path / "packed" / "train.npz", **arrays)
    put(tmp_path / "packed" / "test.npz", **arrays)
    assert load_folder(tmp_path / "packed").train.samples.tolist() == data.train.samples[::-1].tolist()


def test_tables_of_spreadsheets_begin_with_a_mark(tmp_path):
    for part in ("train", "test"):
        put_text(tmp_path / part / "a" / "0.csv", "1,2\n3,4\n", "utf-8-sig")
        put_text(tmp_path / part / "b" / "0.csv", "5,6\n7,8\n")
    assert load_folder(tmp_path).train.samples.tolist() == [[[1, 3], [2, 4]], [[5, 7], [6, 8]]]


def test_the_same_samples_are_held_back_for_a_seed(tmp_path):
    image_folder(tmp_path, ("train",), n=10)
    first, again, other = (load_folder(tmp_path, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.test.images, again.test.images)
    assert not np.array_equal(first.test.images, other.test.images)
    assert first.test.labels.tolist() == [0, 0, 1, 1]
    assert len(first.train) == 16


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda f: None, {}, "holds neither train/ nor train.npz; a folder of your own holds"),
        (lambda f: (f / "train").mkdir(), {}, "train: holds no sub-folders"),
        (lambda f: (f / "train" / "a").mkdir(parents=True), {}, "its sub-folders hold no files"),
        (
            lambda f: (image_folder(f), (f / "train/cat/a.txt").write_text("x")),
            {},
            r"a\.txt: files of type \.txt are",
        ),
        (lambda f: (image_folder(f), put_events(f / "train/cat/9.npz")), {}, r"png and .*npz are of two kinds"),
        (
            lambda f: (image_folder(f), put_image(f / "train/dog/9.png", np.zeros((2, 2), np.uint8))),
            {},
            r"9\.png: is an",
        ),
        (
            lambda f: (image_folder(f), (f / "train/cat/0.png").write_bytes(b"no")),
            {},
            r"0\.png: is not an image",
        ),
        (
            lambda f: (image_folder(f), put_image(f / "test/owl/0.png", np.zeros((6, 5), np.uint8))),
            {},
            "holds owl, no",
        ),
        (lambda f: image_folder(f, ("train",)), {"test_share": 0}, "test_share must lie between 0 and 1, got 0"),
        (lambda f: image_folder(f, ("train",)), {"test_share": "x"}, "test_share must lie between 0 and 1, got 'x'"),
        (lambda f: image_folder(f, ("train",)), {"seed": "a"}, "seed must be a whole number of at least 0, got 'a'"),
        (lambda f: image_folder(f, ("train",)), {"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        (lambda f: image_folder(f, ("train",)), {"value_range": 5}, "value_range must be 2 whole numbers, got 5"),
        (lambda f: image_folder(f, ("train",), n=1), {}, "no class has two samples"),
        (lambda f: put(f / "train.npz", pictures=[1]), {}, "holds the arrays pictures; a folder of your own"),
        (lambda f: put(f / "train.npz", images=np.zeros((3, 4)), labels=[0]), {}, "images must be whole numbers"),
        (
            lambda f: put(f / "train.npz", images=np.zeros((3, 4), int), labels=[0]),
            {},
            r"expected images \(N, height",
        ),
        (lambda f: put(f / "train.npz", images=np.zeros((2, 8, 8, 3), int), labels=[0, 1]), {}, "channels last"),
        (lambda f: put(f / "train.npz", values=[[1], [2]], offsets=[0, 1, 2], labels=[0]), {}, r"got 2 and \(1,\)"),
        (lambda f: put(f / "train.npz", values=[[2**33]], offsets=[0, 1], labels=[0]), {}, "must fit 24 bits"),
        (
            lambda f: (image_folder(f, ("train",)), put(f / "test.npz", images=[1])),
            {},
            r"holds train, test\.npz; give",
        ),
        (image_folder, {"value_range": (0, 1, 2)}, "value_range must be 2 whole numbers"),
        (lambda f: put_image(f / "train/a/0.png", np.zeros((4, 4, 4), np.uint8)), {}, "mode RGBA, with transparency"),
        (lambda f: (f / "train.npz").write_bytes(b"no"), {}, "is not an .npz archive of arrays"),
        (
            lambda f: put(f / "train.npz", values=[[1], [2]], offsets=[0, 1], labels=[0]),
            {},
            "offsets must rise from 0",
        ),
        (lambda f: put(f / "train.npz", values=[[0.5]], offsets=[0, 1], labels=[0]), {}, "0: holds fractions"),
        (lambda f: put_sequence(f / "train/a/0.npy", np.zeros((2, 3, 4))), {}, r"0\.npy: sequence 0: expected shape"),
        (lambda f: put_sequence(f / "train/a/0.npy", np.array([1.5])), {}, r"0\.npy: sequence 0: holds fractions"),
        (lambda f: put_sequence(f / "train/a/0.csv", np.array([1.5])), {}, r"0\.csv: is not an array"),
        (lambda f: put_text(f / "train/a/0.csv", ""), {}, r"0\.csv: sequence 0: expected shape .* got \(0, 1\)"),
        (
            lambda f: put(f / "train.npz", images=np.zeros((2, 3, 4), int), labels=[0, 2_000_000]),
            {},
            r"labels are classes, .* below 1,000,000, got 2000000; number them anew",
        ),
        (
            lambda f: put(f / "train.npz", images=np.full((4, 3, 4), 2**24), labels=[0, 0, 1, 1]),
            {},
            "values must fit 24 bits with sign, got 0 to 16777216",
        ),
        (
            lambda f: (image_folder(f), (f / "train/cat/9.png").symlink_to(f / "nowhere.png")),
            {},
            r"9\.png: is no file, or a link to one that is not there",
        ),
        (
            lambda f: (image_folder(f), put_image(f / "train/c\x07t/0.png", np.zeros((6, 5), np.uint8))),
            {},
            "train: a class's name must consist of printable characters",
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, make, options, message):
    make(tmp_path)
    with pytest.raises(InputError, match=message):
        load_folder(tmp_path, **options)


def test_a_bad_recording_is_named_when_it_is_read(tmp_path):
    for index in range(4):
        put_events(tmp_path / "train" / "a" / f"{index}.npz", x=(1,) if index == 2 else (1, 2))
    with pytest.raises(InputError, match=r"2\.npz: events: offsets must rise"):
        _ = [list(part.samples) for data in [load_folder(tmp_path)] for part in (data.train, data.test)]


def test_a_folder_is_needed():
    with pytest.raises(InputError, match="--data-root DIR; a folder of your own holds"):
        load_dataset("folder")


def test_an_image_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path):
    folder = tmp_path / "train" / "a"
    folder.mkdir(parents=True)
    Image.new("L", (9000, 9000)).save(folder / "0.png", compress_level=1)  # some kilobytes
    with pytest.raises(FileFormatError, match=r"0\.png: with its pixels it asks for 324,000,000 bytes"):
        load_folder(tmp_path)
