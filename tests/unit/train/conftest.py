"""A run of a second, for tests of what `train` does around it."""

import pytest

from pumice.train import PRESETS

SMALL = [
    *(
        "data.max_train=60",
        "data.max_test=20",
        "data.steps=4",
        "network.args.channels=[4]",
        "network.args.strides=[2]",
    ),
    *("training.batch_size=20", "training.epochs=1", "training.finetune_epochs=1"),
]


@pytest.fixture(scope="session")
def small_recipe():
    """A function of further settings."""
    return lambda *more: PRESETS["digits"].overridden([*SMALL, *more])
