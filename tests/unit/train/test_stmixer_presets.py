"""The recipes of Spiking Token Mixers for CIFAR-10, with their depth and narrow, from a first step to integers."""

import numpy as np
import pytest

from pumice.data import ImageDataset, Split
from pumice.pipeline.compare import run_test_split
from pumice.pipeline.lowered import lower_trained
from pumice.train import PRESETS, Recipe, train
from pumice.train.batches_on_device import can_lie_on_device
from pumice.train.trained import start

NAMES = ("cifar10-stmixer-256", "cifar10-stmixer-384", "cifar10-stmixer-384-t4")
SIDE = 8


def colours(side=SIDE):
    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 256, (8, 3, side, side)).astype(np.uint8), np.arange(8))
    return ImageDataset("colours", split, split, tuple("0123456789"), (0, 255), source="drawn")


def small(name):
    values = PRESETS[name].model_dump()
    values["data"]["augment"]["RandomCrop"]["size"] = SIDE
    values["data"]["workers"] = 0
    values["network"]["args"].update(embed_dim=16, heads=2)
    values["training"].update(epochs=2, warmup_epochs=0, finetune_epochs=1, batch_size=8)
    values["compute"] = {}
    return Recipe(**values)


@pytest.mark.filterwarnings("ignore::pumice.errors.PumiceWarning")  # untrained, layers are silent
@pytest.mark.parametrize("name", ["cifar10-stmixer-256", "cifar10-stmixer-384-t4"])
def test_lower_to_what_the_network_computes(name):
    trained = train(small(name), colours())
    graph = lower_trained(trained)
    assert len([p for p in graph.populations if p.name.startswith("encoders")]) > 16
    for backend in ("fast", "reference"):
        layers = run_test_split(graph, trained, backend).comparison
        assert not [layer for layer in layers if layer.s]
        assert sum(layer.compared for layer in layers) > 10_000


@pytest.mark.parametrize("name", NAMES)
def test_are_changed_where_they_lie(name):
    assert can_lie_on_device(start(small(name), colours()))
