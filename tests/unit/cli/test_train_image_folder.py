"""The ImageNet recipes at a toy's width, from images that stay in their files: train, resume, quantize, evaluate."""

import json

import numpy as np
import pytest
import torch

import pumice
from pumice.data import load_dataset
from pumice.errors import InputError
from pumice.train import find_recipe, load_checkpoint, train
from pumice.train.batches import Batches
from pumice.train.trained import start

SIDE = 32
SETTINGS = [
    *("data.args.transforms.Resize.size=40", f"data.args.transforms.CenterCrop.size={SIDE}"),
    f"data.args.train_transforms.RandomResizedCrop.size={SIDE}",
    *("data.workers=0", "training.epochs=2", "training.finetune_epochs=1", "training.batch_size=8"),
    *("compute.accelerator=cpu", "compute.precision=32-true"),
]
TOYS = {
    # At the recipe's rate, a few steps on a few pictures blow it up: how far depends on the version of torch.
    "imagenet-resnet34": ["data.steps=2", "network.args.width=0.0625", "training.lr=0.001"],
    "imagenet-stmixer": ["network.args.embed_dim=16", "network.args.depth=2", "training.warmup_epochs=1"],
}


@pytest.fixture(scope="module")
def folder(write_pictures, tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("photos"), n=8)


@pytest.fixture(scope="module")
def shards(folder, as_shards, tmp_path_factory):
    """The same pictures in tar archives."""
    return as_shards(folder, tmp_path_factory.mktemp("shards"))


def toy(preset, *settings):
    return find_recipe(preset).overridden([*SETTINGS, *TOYS[preset], *settings])


def load(recipe, folder):
    return load_dataset(recipe.data.dataset, folder, **recipe.data_arguments())


@pytest.mark.parametrize("preset", [pytest.param("imagenet-resnet34", marks=pytest.mark.slow), "imagenet-stmixer"])
def test_from_the_folder_to_the_evaluated_file(command, folder, shards, preset):
    settings = " ".join(f"--set {setting}" for setting in [*SETTINGS, *TOYS[preset]])
    for line in (
        f"train {preset} --data-root {folder} -o a.pt {settings}",
        "lower a.pt -o a.net",
        "verify a.net --backend fast --backend reference",
    ):
        code, _, err = command(line)
        assert code == 0, err
    deployed = load_checkpoint("a.pt").history[-1]
    assert deployed.phase == "finetune"
    in_shards = f"{shards} --set data.dataset=image_shards --set data.cache=cache"
    for root, workers in ((folder, 0), (folder, 1), (in_shards, 1)):
        code, out, err = command(f"evaluate a.net --data-root {root} --json --set data.workers={workers}")
        assert code == 0, err
        found = json.loads(out)
        assert (found["samples"], found["accuracy"]) == (16, deployed.test_accuracy)
    assert json.loads(pumice.load("a.net").info["recipe"])["data"]["args"]["transforms"]["CenterCrop"]["size"] == SIDE


def test_workers_interruptions_and_shards_change_no_bit(folder, shards, tmp_path):
    """Interrupted in the middle of an epoch, and gone on with by other processes, from tar archives."""
    recipe = toy("imagenet-resnet34", "training.checkpoint_every_steps=1", "network.args.layers=18")
    data = load(recipe, folder)
    whole = train(recipe, data)
    path, batches = tmp_path / "checkpoint.pt", iter(range(100))

    def interrupt():
        if next(batches) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, data, checkpoint_path=path, on_batch=interrupt)
    checkpoint = load_checkpoint(path)
    assert checkpoint.position.batches == 1
    packed = load_dataset("image_shards", shards, **recipe.data_arguments())
    resumed = train(recipe.overridden(["data.workers=1"]), packed, checkpoint_path=path, resume_from=checkpoint)
    assert resumed.history == whole.history
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_each_epoch_sees_other_parts_and_workers_give_the_same(folder):
    recipe = toy("imagenet-resnet34")
    data = load(recipe, folder)
    runs = [start(recipe.overridden([f"data.workers={n}"]), data) for n in (0, 2)]
    first, again = ([batch.x for batch in Batches(run).epoch(1)] for run in runs)
    assert all(map(torch.equal, first, again))
    assert first[0].shape == (8, 3, SIDE, SIDE, 2)
    other = [batch.x for batch in Batches(runs[0]).epoch(2)]
    assert not torch.equal(torch.cat(first).sum(0), torch.cat(other).sum(0))
    for batch in Batches(runs[0]).epoch(2, is_augmented=False):
        as_tested = torch.from_numpy(np.asarray(runs[0].dataset.train.samples[batch.samples.numpy()]))
        assert torch.equal(batch.x[..., 0], as_tested.float())


def test_ranks_share_batches_of_shards(folder, shards):
    recipe = toy("imagenet-resnet34", "data.workers=1")
    whole = [batch.x for batch in Batches(start(recipe, load(recipe, folder))).epoch(1)]
    run = start(recipe, load_dataset("image_shards", shards, **recipe.data_arguments()))
    shares = [[batch.x for batch in Batches(run).epoch(1, rank=rank, world=2)] for rank in (0, 1)]
    for batch, first, second in zip(whole, *shares, strict=True):
        assert torch.equal(batch[::2], first)
        assert torch.equal(batch[1::2], second)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_ends_training_and_evaluation_with_one_line(write_pictures, tmp_path, workers):
    recipe = toy("imagenet-resnet34", f"data.workers={workers}")
    data = load(recipe, write_pictures(tmp_path))
    run = start(recipe, data)
    for part, read in (("train", lambda: list(Batches(run).epoch(1))), ("val", run.test_accuracy)):
        path = tmp_path / part / "dog" / "3.JPEG"
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(InputError, match=rf"^\S*{part}.dog.3\.JPEG: is not an image, or is damaged[^\n]*$"):
            read()
