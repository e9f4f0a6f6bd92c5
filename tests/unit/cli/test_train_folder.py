"""`pumice train` on a folder of the user's own."""

import numpy as np
import pytest
from PIL import Image

import pumice
from pumice.data import load_digits


@pytest.mark.parametrize("kind", ["images", "events", "sequences"])
def test_a_folder_of_ones_own_trains_lowers_and_verifies(command, tmp_path, kind):
    digits = load_digits()
    chosen = digits.train.images[:60, 0], digits.train.labels[:60]
    for index, (image, label) in enumerate(zip(*chosen, strict=True)):
        folder = tmp_path / "own" / "train" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        if kind == "images":
            Image.fromarray((15 * image).astype(np.uint8)).save(folder / f"{index}.png")
        elif kind == "sequences":
            np.save(folder / f"{index}.npy", image[: 5 + index % 4])  # rows are steps; some end before the last
        else:
            y, x = np.nonzero(image > 7)
            np.savez(folder / f"{index}.npz", x=x, y=y, t=100 * x, p=0 * x)
    encoding = {"images": "direct", "events": "time", "sequences": "sequence"}[kind]
    network = 'name = "convnet"\nargs = {channels = [4], strides = [2]}'
    if kind == "sequences":
        network = 'name = "feedforward"\nargs = {layers = "16"}'
    (tmp_path / "mine.toml").write_text(
        f"""
name = "mine"
[data]
dataset = "folder"
encoding = "{encoding}"
steps = {8 if kind == "sequences" else 4}
[network]
{network}
[training]
epochs = 1
finetune_epochs = 1
batch_size = 16
"""
    )
    code, _, err = command("train mine.toml --data-root own")
    assert code == 0, err
    code, _, err = command("lower runs/mine/checkpoint.pt -o mine.net")
    assert code == 0, err
    code, _, err = command("verify mine.net --backend fast --backend lava-in-threads")
    assert code == 0, err
    assert pumice.load(tmp_path / "mine.net").info["data"] == "folder own"
