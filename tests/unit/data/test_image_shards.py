"""Images in tar shards: the same as those in an image folder, or refused by name."""

import os
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from pumice.data import load_dataset, load_image_folder, load_image_shards, shard_index
from pumice.errors import FileFormatError, InputError

SMALL = {"Resize": {"size": 24}, "CenterCrop": {"size": 16}}
DRAWN = {"RandomResizedCrop": {"size": 16}}
ARGUMENTS = {"transforms": SMALL, "train_transforms": DRAWN}


@pytest.fixture(scope="module")
def folder(write_pictures, tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def shards(folder, as_shards, tmp_path_factory):
    return as_shards(folder, tmp_path_factory.mktemp("shards"))


@pytest.fixture
def own(shards, tmp_path):
    """Shards that a test may damage."""
    return shutil.copytree(shards, tmp_path / "own")


def load(root, **options):
    return load_image_shards(root, **{"transforms": SMALL, **options})


def test_samples_are_those_of_the_image_folder_in_its_order(folder, shards):
    theirs, ours = load_image_folder(folder, seed=3, **ARGUMENTS), load_image_shards(shards, seed=3, **ARGUMENTS)
    for name in ("train", "test"):
        expected, split = getattr(theirs, name), getattr(ours, name)
        np.testing.assert_array_equal(split.labels, expected.labels)
        np.testing.assert_array_equal(np.asarray(split.samples), np.asarray(expected.samples))
    drawn = [data.train.samples.drawn(2, np.random.default_rng(7)) for data in (theirs, ours)]
    np.testing.assert_array_equal(*drawn)
    assert not np.array_equal(drawn[0], ours.train.samples[2])
    assert (ours.class_names, ours.value_range) == (("0", "1"), (0, 255))


def test_what_a_spawned_worker_is_sent_pickles_and_is_small(shards):
    images = load(shards).train.samples
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(images))[3], images[3])
    assert len(pickle.dumps(images)) < 8000


def test_folders_of_parts_and_longer_words(own):
    for part, place in (("train", "train"), ("val", "validation")):
        (own / place).mkdir()
        for path in own.glob(f"*-{part}-*.tar"):
            path.rename(own / place / f"{path.stem[-4:]}.tar")
    (own / "validation" / "nshards.txt").write_text("1")
    (own / "classnames.txt").write_text("")
    (own / ".train.tar").write_text("hidden")
    assert (len(load(own).train), len(load(own).test)) == (8, 8)


def test_a_part_is_chosen(own):
    for path in own.glob("*-val-*0000.tar"):
        shutil.copy(path, own / path.name.replace("-val-", "-test-"))
    with pytest.raises(InputError, match="holds val and test; say which is held back"):
        load(own)
    assert [len(load(own, part=part).test) for part in ("val", "test")] == [8, 5]


def test_the_index_is_kept_until_a_shard_changes(own, tmp_path, monkeypatch):
    cache, opened, members = tmp_path / "a" / "cache", [], shard_index.tar_members
    monkeypatch.setattr(shard_index, "tar_members", lambda a: opened.append(a.path.name) or members(a))
    first = load(own, cache=cache)
    n = len(opened)
    again = load(own, cache=cache)
    assert n == len(opened) == 4
    np.testing.assert_array_equal(np.asarray(again.train.samples), np.asarray(first.train.samples))
    np.testing.assert_array_equal(again.train.labels, first.train.labels)
    assert str(again.train.samples._paths[0]) == str(first.train.samples._paths[0])
    os.utime(min(own.glob("*train*")), ns=(0, 0))
    load(own, cache=cache)
    assert len(opened) == n + 2


@pytest.mark.parametrize(
    "change",
    [
        {"offsets": lambda a: a + 10**9},
        {"sizes": lambda a: -a},
        {"which": lambda a: a + 7},
        {"labels": lambda a: a[1:]},
        {"ends": lambda a: a[::-1]},
        {"names": lambda a: a[1:]},
        {"labels": lambda a: a + 0.5},
    ],
)
def test_a_damaged_index_is_refused(own, tmp_path, change):
    load(own, cache=tmp_path)
    for path in tmp_path.glob("shards-*.npz"):
        arrays = dict(np.load(path))
        np.savez(path, **{name: change.get(name, np.asarray)(array) for name, array in arrays.items()})
    with pytest.raises(InputError, match=r"shards-\w+\.npz.*; delete it, it is made again$"):
        load(own, cache=tmp_path)


def test_an_index_that_is_cut_off_is_refused(own, tmp_path):
    load(own, cache=tmp_path)
    for path in tmp_path.glob("shards-*.npz"):
        os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match=r"shards-\w+\.npz: is not an .npz archive.*; delete it, it is made again$"):
        load(own, cache=tmp_path)


def test_a_cache_that_cannot_be_written(own, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file: cannot be made a folder"):
        load(own, cache=tmp_path / "file")


def sample(key="x", label=b"0", content=b"", ending="png"):
    return [(f"{key}.{ending}", content), (f"{key}.cls", label)]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("x.cls", b"1")], r"x\.cls: a sample must have one picture .* got 0 and 1"),
        ([("x.jpg", b"")], r"x\.jpg: a sample must have .*, side by side, got 1 and 0"),
        ([("x.jpg", b""), ("y.cls", b"1"), ("x.cls", b"1")], r"x\.jpg: a sample must have"),
        ([("x.jpg", b""), ("x.png", b""), ("x.cls", b"1")], "got 2 and 1"),
        ([("x.seg.png", b""), ("x.cls", b"1")], "got 0 and 1"),
        (sample(label=b"-1"), r"bad-train\.tar, x\.cls: must hold the number of a class"),
        (sample(label=b"1.0"), "must hold the number of a class"),
        (sample(label=b"cat"), "must hold the number of a class"),
        (sample(label=b""), "must hold the number of a class"),
        (sample(label=b"4294967296"), "must hold the number of a class, 0 to 2,147,483,647, and no more"),
        (sample(label=b"1" * 5000), "must hold the number of a class"),
        (sample(label=b"7"), r"train holds no sample of class 2, and one of class 7; .* data\.args\.class_names"),
        (sample(label=b"2147483647"), "train holds no sample of class 2, and one of class 2147483647"),
        ([("\x1b[2J.jpg", b"")], "printable characters"),
    ],
)
def test_a_bad_shard_is_refused_at_once(own, write_tar, members, message):
    write_tar(own / "bad-train.tar", members)
    with pytest.raises(InputError, match=message):
        load(own)


def test_what_is_no_sample_is_left_alone(own, write_tar):
    content = (own / "0.png", Image.new("RGB", (20, 20), 9).save(own / "0.png"))[0].read_bytes()
    hidden = [("./._x.png", b"no"), ("./x.png", content), ("./._x.cls", b"no"), ("./x.CLS", b" 1\n")]
    write_tar(own / "b-train.tar", [("README", b""), ("meta.json", b"{}"), *hidden])
    assert len(load(own).train) == 9


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            lambda f: [p.unlink() for p in f.glob("*-train-*")],
            {},
            "holds no shards of train; image shards are DIR/tr",
        ),
        (lambda f: [p.unlink() for p in f.glob("*-val-*")], {}, "holds no val or test; image shards are"),
        (lambda f: (f / "more.tar").touch(), {}, r"more\.tar: its name says no part, or several; image shards"),
        (lambda f: (f / "train-val.tar").touch(), {}, "its name says no part, or several"),
        (lambda f: (f / "train.tar.gz").touch(), {}, r"train\.tar\.gz: is compressed, .* unpack it to a \.tar"),
        (lambda f: None, {"part": "train"}, "part must be one of val, test, got 'train'"),
        (lambda f: None, {"channels": 2}, "channels must be one of 1, 3, got 2"),
        (lambda f: None, {"class_names": "ab"}, "class_names must be a list of texts, got 'ab'"),
        (lambda f: None, {"class_names": ["a", "\x1b"]}, "class_names: a class's name must consist of printable"),
        (lambda f: None, {"class_names": ["a"]}, r"labels must lie in 0\.\.0, got 0 to 1"),
    ],
)
def test_shards_that_do_not_fit_are_refused_at_once(own, change, options, message):
    change(own)
    with pytest.raises(InputError, match=message):
        load(own, **options)


def test_classes_without_samples_are_named(own, write_tar):
    shutil.rmtree(own)
    content = (own.parent / "0.png", Image.new("RGB", (20, 20), 9).save(own.parent / "0.png"))[0].read_bytes()
    for part in ("train", "val"):
        write_tar(own / f"{part}.tar", sample(label=b"2", content=content))
    data = load(own, class_names=["a", "b", "c"])
    assert (data.class_names, data.train.labels.tolist()) == (("a", "b", "c"), [2])
    with pytest.raises(InputError, match="no sample of class 0"):
        load(own)


def bomb(path):
    Image.new("1", (13_000, 13_000)).save(path, compress_level=1)  # a few kilobytes


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: path.write_bytes(b"no"), (InputError, "is not an image, or is damaged")),
        (bomb, (FileFormatError, "with its pixels it asks for 676,")),
        (lambda path: Image.new("RGBA", (20, 20), (1, 2, 3, 4)).save(path), (InputError, "has transparent pixels")),
    ],
)
def test_a_bad_image_is_named_when_it_is_read(own, write_tar, tmp_path, make, expected):
    error, message = expected
    make(tmp_path / "0.png")
    write_tar(own / "c-val.tar", sample(content=(tmp_path / "0.png").read_bytes()))
    data = load(own)
    with pytest.raises(error, match=rf"c-val\.tar, x\.png: .*{message}"):
        list(data.test.samples)


def test_a_folder_is_needed():
    with pytest.raises(InputError, match="the image_shards dataset needs a folder: --data-root DIR"):
        load_dataset("image_shards")
    with pytest.raises(InputError, match="nowhere: No such file or directory"):
        load_dataset("image_shards", "nowhere")


def test_a_part_in_two_forms_is_not_both(own):
    inside = own / "train"
    inside.mkdir()
    shutil.copy(sorted(own.glob("*train*.tar"))[0], inside / "a.tar")
    with pytest.raises(InputError, match=r"holds shards of train in \*train\*.tar and train/; keep one"):
        load(own)


def test_what_is_no_shard_by_name_may_be_compressed(own):
    (own / "devkit.tgz").write_bytes(b"")
    assert len(load(own).train) > 0


@pytest.mark.parametrize(
    "options", [{"seed": None}, {"seed": -1}, {"seed": True}, {"channels": True}, {"channels": 3.0}]
)
def test_arguments_of_another_type(own, options):
    with pytest.raises(InputError, match=f"{next(iter(options))} must be"):
        load(own, **options)


def test_another_current_folder_changes_nothing(own, monkeypatch):
    monkeypatch.chdir(own.parent)
    data = load(own.name)
    monkeypatch.chdir("/")
    assert data.train.samples[0].shape == (3, 16, 16)
