"""Images that stay in their files until they are asked for."""

import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets, transforms

from pumice.data import ImageDataset, ImageFiles, hold_out, image_files, load_dataset, load_image_folder
from pumice.data.levels import to_levels
from pumice.errors import FileFormatError, InputError

SMALL = {"Resize": {"size": 24}, "CenterCrop": {"size": 16}}
DRAWN = {"RandomResizedCrop": {"size": 16}}


@pytest.fixture(scope="module")
def folder(write_pictures, tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def own(write_pictures, tmp_path):
    """A folder that a test may damage."""
    return write_pictures(tmp_path, n=1)


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that are decoded."""
    opened, names = image_files.open_picture, []

    def noted(path):
        names.append(path.name)
        return opened(path)

    monkeypatch.setattr(image_files, "open_picture", noted)
    return names


def load(folder, **options):
    return load_image_folder(folder, **{"transforms": SMALL, **options})


def by_content(images, labels):
    return sorted((int(label), np.asarray(image).tobytes()) for image, label in zip(images, labels, strict=True))


def test_images_are_those_of_torchvisions_own_folder(folder):
    steps = [transforms.Resize(24), transforms.CenterCrop(16), transforms.PILToTensor()]
    data = load(folder)
    assert isinstance(data, ImageDataset)
    for part, split in (("train", data.train), ("val", data.test)):
        theirs = datasets.ImageFolder(str(folder / part), transform=transforms.Compose(steps))
        assert data.class_names == tuple(theirs.classes)
        assert by_content(split.samples, split.labels) == by_content(*zip(*theirs, strict=True))


def test_a_part_of_the_picture_is_that_which_torchvision_draws(folder):
    data = load(folder, train_transforms=DRAWN)
    image = data.train.samples.drawn(2, np.random.default_rng(7))
    images = load(folder).train.samples
    again = images._paths[images._indices[2]]
    torch.manual_seed(int(np.random.default_rng(7).integers(2**32)))
    drawn = transforms.RandomResizedCrop(16)(Image.open(again).convert("RGB"))
    np.testing.assert_array_equal(image, np.asarray(drawn).transpose(2, 0, 1))
    other = data.train.samples.drawn(2, np.random.default_rng(8))
    assert not np.array_equal(image, other)


def test_only_training_draws(folder):
    """What is held out of the training split to validate on, too, is seen as it will be tested."""
    drawing, fixed = load(folder, train_transforms=DRAWN), load(folder)
    np.testing.assert_array_equal(np.asarray(drawing.test.samples), np.asarray(fixed.test.samples))
    _, part = hold_out(drawing, 0.25, seed=0)
    _, expected = hold_out(fixed, 0.25, seed=0)
    np.testing.assert_array_equal(np.asarray(part.samples), np.asarray(expected.samples))
    assert drawing.train.samples[0].shape == drawing.train.samples.drawn(0, np.random.default_rng(0)).shape


def test_nothing_is_decoded_before_it_is_asked_for(folder, decoded):
    data = load(folder)
    assert len(decoded) == 1  # its size is that of all
    data.limited(3, 2).with_levels(16)
    hold_out(data, 0.25, seed=0)
    assert len(decoded) == 1
    images = data.train.samples[np.array([4, 1])]
    assert isinstance(images, ImageFiles)
    assert (images.shape, len(decoded)) == ((2, 3, 16, 16), 1)
    np.testing.assert_array_equal(images[1], data.train.samples[1])
    assert len(decoded) == 3
    np.testing.assert_array_equal(np.asarray(images), np.stack([data.train.samples[4], data.train.samples[1]]))


def test_a_million_names_take_little_memory():
    paths = image_files.PackedPaths(image_files.Path("train"), [f"n01440764/{i}.JPEG" for i in range(100_000)])
    assert len(pickle.dumps(paths)) < 30 * 100_000
    assert str(paths[99_999]) == os.path.join("train", "n01440764", "99999.JPEG")


def test_the_first_samples_are_of_all_classes(write_pictures, tmp_path):
    folder = write_pictures(tmp_path, n=6, classes=("a", "b", "c"), sides=(16, 17))
    data = load(folder)
    assert set(data.limited(9, 9).test.labels) == {0, 1, 2}
    assert data.train.labels.tolist() == load(folder).train.labels.tolist()
    assert data.train.labels.tolist() != load(folder, seed=1).train.labels.tolist()


def test_levels_and_grey(folder):
    data = load(folder)
    few = data.with_levels(9)
    np.testing.assert_array_equal(few.test.samples[1], to_levels(data.test.samples[1], (0, 255), 9))
    assert (few.value_range, few.test.samples[1].max() <= 8) == ((0, 8), True)
    assert load(folder, channels=1).image_shape == (1, 16, 16)
    with pytest.raises(InputError, match=r"grey levels must lie in 2\.\.256, got 1"):
        data.with_levels(1)


def test_what_a_spawned_worker_is_sent_pickles(folder):
    images = load(folder, train_transforms=DRAWN).train.samples
    copied = pickle.loads(pickle.dumps(images))
    np.testing.assert_array_equal(copied[3], images[3])


def test_opaque_and_palette_pictures_are_taken_and_links_followed(own):
    for mode in ("RGBA", "P", "LA", "1", "CMYK"):
        colour = {"LA": (90, 255), "RGBA": (9, 9, 9, 255)}.get(mode, 255)
        Image.new(mode, (20, 20), colour).save(own / "train" / "cat" / f"{mode}.tif")
    (own / "elsewhere").mkdir()
    Image.new("L", (20, 20), 9).save(own / "elsewhere" / "0.png")
    (own / "train" / "owl").symlink_to(own / "elsewhere")
    (own / "train" / "owl" / ".hidden.png").write_bytes(b"no")
    data = load(own)
    assert len([*data.train.samples]) == 8
    assert data.class_names == ("cat", "dog", "owl")


def cut_off(path):
    path.write_bytes(path.read_bytes()[:300])


def bomb(path):
    Image.new("1", (13_000, 13_000)).save(path, compress_level=1)  # a few kilobytes


def needle(path):
    """1 x 60,000 pixels, of which resizing makes 24 x 1,440,000."""
    Image.new("L", (1, 60_000)).save(path)


def transparent(path):
    Image.new("RGBA", (20, 20), (1, 2, 3, 254)).save(path)


def deep(path):
    Image.fromarray(np.full((20, 20), 300, np.uint16)).save(path)


@pytest.mark.parametrize(
    ("damage", "options", "expected"),
    [
        (cut_off, {}, (InputError, "is not an image, or is damaged")),
        (lambda path: path.write_text("no"), {}, (InputError, "is not an image, or is damaged")),
        (lambda path: path.unlink(), {}, (InputError, "No such file")),
        (lambda path: (path.unlink(), os.mkfifo(path)), {}, (InputError, "is no regular file")),
        (bomb, {}, (FileFormatError, "with its pixels it asks for 676,000,000 bytes")),
        (
            needle,
            {"transforms": {"Resize": {"size": 600}, "CenterCrop": {"size": 16}}},
            (FileFormatError, "Resize it"),
        ),
        (transparent, {}, (InputError, "has transparent pixels; save it as grey or RGB")),
        (deep, {}, (InputError, "Pillow's mode I;16, of more than 8 bits")),
        (
            lambda path: Image.new("L", (16, 48)).save(path),
            {"transforms": {"Resize": {"size": 16}}, "sides": (16, 17)},
            (
                InputError,
                r"becomes an image of .* \(3, 48, 16\), and must become \(3, 16, 16\); end the transforms",
            ),
        ),
    ],
)
def test_a_bad_image_is_named_when_it_is_read(write_pictures, tmp_path, damage, options, expected):
    (error, message), sides = expected, options.get("sides", (30, 60))
    chosen = {name: value for name, value in options.items() if name != "sides"}
    data = load(write_pictures(tmp_path, n=1, sides=sides), **chosen)
    damage(tmp_path / "val" / "dog" / "0.png")
    with pytest.raises(error, match=rf"dog.0\.png: .*{message}"):
        list(data.test.samples)


def mkdirs(*places):
    for place in places:
        place.mkdir(parents=True)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: (f / "train").rename(f / "Train"), {}, "holds no folder train; an image folder holds train/CLASS"),
        (lambda f: (f / "val").rename(f / "valid"), {}, "holds no val or test; an image folder"),
        (lambda f: mkdirs(f / "test" / "cat"), {}, r"holds val and test; say which is held back: data\.args\.part="),
        (lambda f: None, {"part": "test"}, "holds no test; an"),
        (lambda f: None, {"part": "train"}, "part must be one of val, test, got 'train'"),
        (lambda f: mkdirs(f / "train" / "owl"), {}, "owl: holds no image"),
        (lambda f: mkdirs(f / "val" / "owl"), {}, "val: holds owl, no class of train/"),
        (lambda f: mkdirs(f / "train" / "o\x1b[2Jl"), {}, "a class's name must consist of printable characters"),
        (lambda f: (f / "train/cat/notes.txt").write_text("x"), {}, r"notes\.txt: is no image by its name"),
        (lambda f: None, {"channels": 4}, "channels must be one of 1, 3, got 4"),
        (
            lambda f: None,
            {"transforms": {"Resize": 16}},
            r"data\.args\.transforms must be names with their arguments",
        ),
        (lambda f: None, {"transforms": {"RandomResizedCrop": {"size": 8}}}, "there is no 'RandomResizedCrop' here"),
        (lambda f: None, {"train_transforms": {"Resize": {"size": -3}}}, r"Resize: size must be whole numbers >= 1"),
        (lambda f: None, {"transforms": {"CenterCrop": {"side": 8}}}, r"transforms\.CenterCrop: .*side"),
        (lambda f: None, {"transforms": {"Resize": {"size": 8, "interpolation": "best"}}}, "'best' is not a valid"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_at_once(own, change, options, message):
    change(own)
    with pytest.raises(InputError, match=message):
        load(own, **options)


def test_a_part_is_chosen(own, write_pictures):
    write_pictures(own, parts=("test",), n=2)
    assert [len(load(own, part=part).test) for part in ("val", "test")] == [2, 4]


def test_a_folder_is_needed():
    with pytest.raises(InputError, match="the image_folder dataset needs a folder: --data-root DIR"):
        load_dataset("image_folder")
