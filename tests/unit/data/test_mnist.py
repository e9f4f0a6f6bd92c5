import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from pumice.data import load_dataset, load_mnist
from pumice.errors import InputError, MissingExtraError

SHARED = Path(__file__).parents[4] / "shared" / "data" / "mnist"


def write_npz(folder, name, rng, n=5, **changes):
    arrays = {"images": rng.integers(0, 256, (n, 28, 28), np.uint8), "labels": np.arange(n, dtype=np.uint8)}
    np.savez(folder / f"{name}.npz", **{**arrays, **changes})
    return arrays


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def test_the_npz_layout_is_read(tmp_path, rng):
    train, test = write_npz(tmp_path, "train", rng), write_npz(tmp_path, "test", rng, n=3)
    data = load_dataset("mnist", tmp_path)
    np.testing.assert_array_equal(data.train.images, train["images"][:, None])
    np.testing.assert_array_equal(data.test.labels, test["labels"])
    assert data.value_range == (0, 255)


def test_torchvisions_layout_is_read(tmp_path, rng):
    raw = tmp_path / "MNIST" / "raw"
    images = rng.integers(0, 256, (4, 28, 28))
    for part in ("train", "t10k"):
        write_idx(raw / f"{part}-images-idx3-ubyte", images)
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.arange(4))
    data = load_mnist(tmp_path)
    np.testing.assert_array_equal(data.train.images, images[:, None])
    np.testing.assert_array_equal(data.test.labels, np.arange(4))


def test_an_incomplete_torchvision_folder_is_refused(tmp_path):
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    with pytest.raises(InputError, match="is not torchvision's MNIST"):
        load_mnist(tmp_path)


def test_missing_folders_and_files(tmp_path, rng):
    with pytest.raises(InputError, match="--data-root"):
        load_mnist(None)
    with pytest.raises(InputError, match="no such folder"):
        load_mnist(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"mnist is not there; looked for train\.npz"):
        load_mnist(tmp_path)
    write_npz(tmp_path, "train", rng)
    with pytest.raises(InputError, match=r"test\.npz: No such file"):
        load_mnist(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((5, 27, 28), np.uint8)}, r"expected images \(N, 28, 28\)"),
        ({"labels": np.zeros(4, np.uint8)}, r"got \(5, 28, 28\) and \(4,\)"),
        ({"images": np.zeros((5, 28, 28))}, "must be integers"),
        ({"labels": np.full(5, 10, np.uint8)}, r"labels must lie in 0\.\.9"),
        ({"images": np.array([{}] * 5)}, r"is not an \.npz archive|is a \.npy file"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, rng, changes, message):
    write_npz(tmp_path, "test", rng)
    write_npz(tmp_path, "train", rng, **changes)
    with pytest.raises(InputError, match=message):
        load_mnist(tmp_path)


@pytest.mark.parametrize("keep", [0, 10, 300, -10])
def test_a_truncated_file_is_refused(tmp_path, rng, keep):
    write_npz(tmp_path, "test", rng)
    write_npz(tmp_path, "train", rng)
    file = tmp_path / "train.npz"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"is not an \.npz archive|is a \.npy file"):
        load_mnist(tmp_path)


def test_a_single_array_is_refused(tmp_path):
    with (tmp_path / "train.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match=r"is not an \.npz archive|is a \.npy file"):
        load_mnist(tmp_path)


def test_an_array_of_the_wrong_name_is_refused(tmp_path):
    np.savez(tmp_path / "train.npz", x=np.zeros(3))
    with pytest.raises(InputError, match="'images' and 'labels'"):
        load_mnist(tmp_path)


def test_without_torchvision(tmp_path, monkeypatch):
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(MissingExtraError, match=r"pumice\[train\]"):
        load_mnist(tmp_path)


def test_an_unknown_dataset():
    with pytest.raises(InputError, match="There are: digits, mnist"):
        load_dataset("imagenet")


def test_the_real_files():
    if not SHARED.is_dir():
        pytest.skip("no folder shared/data/mnist beside this checkout")
    data = load_mnist(SHARED)
    assert (len(data.train), len(data.test)) == (60000, 10000)
    assert np.bincount(data.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
