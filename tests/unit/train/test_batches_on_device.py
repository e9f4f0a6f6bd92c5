"""Batches made on a device equal those made one by one, bit for bit; here the device is the CPU."""

import numpy as np
import pytest
import torch

from pumice.data import ImageDataset, Split, load_digits
from pumice.train import Recipe
from pumice.train.batches import Batches
from pumice.train.batches_on_device import BatchesOnDevice, batches_on, can_lie_on_device
from pumice.train.trained import Trained, start

CROP = {"RandomCrop": {"size": 8, "padding": 2}}
FLIP = {"RandomHorizontalFlip": {}}
AFFINE = {"RandomAffine": {"degrees": 30, "translate": [0.1, 0.2], "scale": [0.7, 1.4], "shear": [-9, 9, -20, 20]}}
BETWEEN = {"RandomAffine": {"degrees": 30, "scale": [0.7, 1.4], "interpolation": "bilinear"}}
ELASTIC = {"ElasticTransform": {"alpha": [9.0, 30.0], "sigma": [0.5, 0.8]}}
ERASE = {"RandomErasing": {"p": 0.8, "scale": [0.6, 1.0], "value": 7}}  # at times no rectangle fits
RAND = {"RandAugment": {"magnitude_std": 2.0}}


def trained(augment, **data):
    recipe = Recipe(
        data={"max_train": 50, "max_test": 5, "steps": 3, "augment": augment, **data}, training={"batch_size": 16}
    )
    return start(recipe, load_digits())


@pytest.mark.parametrize(
    "augment",
    [
        {},
        CROP,
        FLIP,
        {**AFFINE, **CROP},
        {**ELASTIC, **BETWEEN},
        ERASE,
        {**CROP, **RAND, **ERASE},
        {**FLIP, **ERASE, **CROP},
    ],
)
def test_equal_those_made_one_by_one(augment):
    run = trained(augment)
    assert can_lie_on_device(run)
    on_device = BatchesOnDevice(run, torch.device("cpu"))
    for stream, on in ((1, True), (2, True), (2, False)):
        both = (batches.epoch(stream, 1, is_augmented=on) for batches in (on_device, Batches(run)))
        pairs = list(zip(*both, strict=True))
        assert len(pairs) == 3
        for ours, wanted in pairs:
            for name in ("x", "labels", "samples"):
                assert torch.equal(getattr(ours, name), getattr(wanted, name))
                assert getattr(ours, name).dtype == getattr(wanted, name).dtype


def test_changes_differ_from_epoch_to_epoch():
    batches = BatchesOnDevice(trained({**CROP, **FLIP}), torch.device("cpu"))
    first, second = (torch.cat([x for x, *_ in batches.epoch(stream)]) for stream in (1, 2))
    assert not torch.equal(first.sort(0).values, second.sort(0).values)


COLOURED = {"RandomErasing": {"value": [1, 200, 255]}}


@pytest.mark.parametrize("change", [CROP, {**ELASTIC, **BETWEEN}])
def test_colours_and_processes_share_alike(change):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 3, 8, 8 if change is CROP else 11)).astype(np.uint8)
    split = Split(images, rng.integers(0, 2, 20))
    data = ImageDataset("mine", split, split, ("a", "b"), (0, 255), source="drawn")
    recipe = Recipe(
        data={"steps": 2, "augment": {**change, **FLIP, **COLOURED, **RAND}, "workers": 1}, training={"batch_size": 8}
    )
    run = start(recipe, data)
    for rank in range(2):
        ours = BatchesOnDevice(run, torch.device("cpu")).epoch(1, 0, rank, 2)
        for batch, wanted in zip(ours, Batches(run).epoch(1, 0, rank, 2), strict=True):
            assert torch.equal(batch.x, wanted.x)
            assert torch.equal(batch.labels, wanted.labels)
            assert torch.equal(batch.samples, wanted.samples)


@pytest.mark.parametrize(
    "data",
    [
        {"augment": {"RandomRotation": {"degrees": 5}}},
        {"augment": {"RandomAffine": {"degrees": 5, "fill": 3}}},
        {"augment": {"RandomAffine": {"degrees": 5, "interpolation": "bicubic"}}},
        {"augment": {"ElasticTransform": {"alpha": 2.0, "sigma": 0.5, "fill": 3}}},
        {"augment": {"RandomCrop": {"size": 8, "padding": 1, "padding_mode": "edge"}}},
        {"augment": {}, "noise": 0.5},
        {"augment": {}, "encoding": "rate"},
    ],
)
def test_what_is_not_known_for_batches_is_made_one_by_one(data):
    run = trained(**data)
    assert not can_lie_on_device(run)


def test_a_cpu_changes_whole_batches_and_copies_no_image():
    run = trained(CROP)
    batches = batches_on(run, torch.device("cpu"))
    assert type(batches) is BatchesOnDevice
    assert batches._images.data_ptr() == run.dataset.train.samples.ctypes.data
    assert type(batches_on(trained(CROP, noise=0.5), torch.device("cpu"))) is Batches


def test_targets_stay_numbers():
    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 16, (20, 1, 8, 8)).astype(np.uint8), rng.random((20, 1)))
    data = ImageDataset("mine", split, split, ("y",), (0, 15), source="drawn")
    recipe = Recipe(data={"steps": 2}, training={"batch_size": 8, "loss": "mean_squared_error"})
    run = Trained(recipe, data, torch.nn.Identity())
    ours, wanted = BatchesOnDevice(run, torch.device("cpu")).epoch(1), Batches(run).epoch(1)
    for (_, labels, *_), (_, expected, *_) in zip(ours, wanted, strict=True):
        assert torch.equal(labels, expected)
        assert labels.dtype == torch.float32
