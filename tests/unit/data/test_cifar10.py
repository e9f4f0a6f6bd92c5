import io
import pickle

import numpy as np
import pytest
from PIL import Image

from pumice.data import load_cifar10
from pumice.errors import InputError


def undo(images):
    """The arrays' coding: R - G, G, B - G, then differences down the rows, modulo 256."""
    coded = images.copy()
    coded[:, [0, 2]] -= images[:, 1:2]
    return np.diff(coded, axis=2, prepend=np.zeros_like(coded[:, :, :1]))


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (40, 3, 32, 32)).astype(np.uint8), rng.integers(0, 10, 40).astype(np.uint8)


@pytest.fixture
def arrays(tmp_path, images):
    pixels, labels = images
    for index in range(10):
        part = slice(3 * index, 3 * index + 3)
        np.savez(tmp_path / f"train_{index}.npz", delta=undo(pixels[part]), labels=labels[part])
    np.savez(tmp_path / "test_first1000.npz", delta=undo(pixels[30:]), labels=labels[30:])
    return tmp_path


def test_arrays(arrays, images):
    data = load_cifar10(arrays)
    np.testing.assert_array_equal(data.train.images, images[0][:30])
    np.testing.assert_array_equal(data.test.images, images[0][30:])
    assert data.test.labels.tolist() == images[1][30:].tolist()


def test_the_jpeg_test_set_is_asked_for_and_named(arrays, images):
    files = []
    for image in images[0][:2]:
        file = io.BytesIO()
        Image.fromarray(np.full_like(image, image.mean()).transpose(1, 2, 0)).save(file, "JPEG")
        files.append(np.frombuffer(file.getvalue(), np.uint8))
    offsets = np.cumsum([0, *map(len, files)])
    np.savez(arrays / "test10k_jpeg.npz", jpeg=np.concatenate(files), offsets=offsets, labels=images[1][:2])
    data = load_cifar10(arrays, jpeg_test=True)
    assert "JPEG copies" in data.source
    for got, image in zip(data.test.images, images[0], strict=False):
        assert np.abs(got.astype(int) - int(image.mean())).max() <= 2


def test_torchvisions_layout(tmp_path, images, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels, labels = images
    names = [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]
    for index, name in enumerate(names):
        part = slice(5 * index, 5 * index + 5)
        values = {"data": pixels[part].reshape(5, -1), "labels": labels[part].tolist()}
        (folder / name).write_bytes(pickle.dumps(values))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    from torchvision import datasets

    with pytest.raises(InputError, match="is not torchvision's CIFAR-10"):
        load_cifar10(tmp_path)  # torchvision checks the files' sums
    monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(datasets.cifar, "check_integrity", lambda *_: True)
    data = load_cifar10(tmp_path)
    np.testing.assert_array_equal(data.train.images, pixels[:25])
    np.testing.assert_array_equal(data.test.images, pixels[25:30])


def test_missing_and_wrong_files(arrays, tmp_path):
    with pytest.raises(InputError, match="cifar10 is not there; looked for cifar-10-batches-py"):
        load_cifar10(arrays.parent)
    np.savez(arrays / "train_3.npz", delta=np.zeros((2, 3, 8, 8), np.uint8), labels=np.zeros(2, np.uint8))
    with pytest.raises(InputError, match=r"train_3\.npz: expected delta \(N, 3, 32, 32\)"):
        load_cifar10(arrays)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jpeg": np.arange(200, dtype=np.uint8)}, r"jpeg 0: is not a JPEG image, or is damaged"),
        ({"offsets": np.array([0, 0.5, 9])}, "offsets: must be whole numbers"),
        ({"offsets": np.array([0, 9, 4])}, "offsets must rise from 0"),
        ({"offsets": np.array([0, 10**9])}, "offsets must rise from 0 to at most the"),
    ],
)
def test_what_is_no_jpeg_is_named(arrays, change, message):
    values = {"jpeg": np.zeros(100, np.uint8), "offsets": np.array([0, 50, 100]), "labels": np.zeros(2, np.uint8)}
    np.savez(arrays / "test10k_jpeg.npz", **{**values, **change})
    with pytest.raises(InputError, match=message):
        load_cifar10(arrays, jpeg_test=True)


def test_a_jpeg_of_another_size_is_not_unpacked(arrays):
    held = io.BytesIO()
    Image.new("RGB", (900, 900)).save(held, "JPEG")
    data = np.frombuffer(held.getvalue(), np.uint8)
    np.savez(arrays / "test10k_jpeg.npz", jpeg=data, offsets=[0, len(data)], labels=np.zeros(1, np.uint8))
    with pytest.raises(InputError, match=r"it has \(900, 900\) pixels, not \(32, 32\)"):
        load_cifar10(arrays, jpeg_test=True)
