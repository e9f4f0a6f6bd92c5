"""Training: recipes, losses, the loop, and checkpoints."""

from pumice.nn.probes.membrane import watch_membrane
from pumice.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from pumice.train.evaluate import encode, predict, predict_counts
from pumice.train.finite import check_finite
from pumice.train.history import EpochRecord
from pumice.train.initialise import initialise_by_data_
from pumice.train.isometry import Isometry, isometry
from pumice.train.loop import total_batches, train
from pumice.train.losses import (
    MembraneCrossEntropy,
    SpikeCount,
    SpikeCountCrossEntropy,
    SpikeMax,
    SpikeRateLoss,
    SurrogateModuleLoss,
    VanRossum,
)
from pumice.train.memory import keep_large_tensors
from pumice.train.presets import PRESETS, find_recipe
from pumice.train.recipe import Recipe, load_recipe, make_recipe
from pumice.train.sml import watch_surrogates
from pumice.train.trained import Trained, restore

__all__ = [
    "PRESETS",
    "Checkpoint",
    "EpochRecord",
    "Isometry",
    "MembraneCrossEntropy",
    "Recipe",
    "SpikeCount",
    "SpikeCountCrossEntropy",
    "SpikeMax",
    "SpikeRateLoss",
    "SurrogateModuleLoss",
    "Trained",
    "VanRossum",
    "check_finite",
    "encode",
    "find_recipe",
    "initialise_by_data_",
    "isometry",
    "keep_large_tensors",
    "load_checkpoint",
    "load_recipe",
    "make_recipe",
    "predict",
    "predict_counts",
    "restore",
    "save_checkpoint",
    "total_batches",
    "train",
    "watch_membrane",
    "watch_surrogates",
]
