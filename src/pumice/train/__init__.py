"""Training: recipes, losses, the loop, and checkpoints."""

from pumice.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from pumice.train.evaluate import encode, predict, predict_counts
from pumice.train.history import EpochRecord
from pumice.train.isometry import Isometry, isometry
from pumice.train.loop import total_batches, train
from pumice.train.losses import SpikeCountCrossEntropy, SpikeRateLoss
from pumice.train.memory import keep_large_tensors
from pumice.train.presets import PRESETS, find_recipe
from pumice.train.recipe import Recipe, load_recipe
from pumice.train.sync_norm import synchronise_norms
from pumice.train.trained import Trained, restore

__all__ = [
    "PRESETS",
    "Checkpoint",
    "EpochRecord",
    "Isometry",
    "Recipe",
    "SpikeCountCrossEntropy",
    "SpikeRateLoss",
    "Trained",
    "encode",
    "find_recipe",
    "isometry",
    "keep_large_tensors",
    "load_checkpoint",
    "load_recipe",
    "predict",
    "predict_counts",
    "restore",
    "save_checkpoint",
    "synchronise_norms",
    "total_batches",
    "train",
]
