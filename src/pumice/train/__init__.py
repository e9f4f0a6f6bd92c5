"""Training: recipes, losses, the loop, and checkpoints."""

from pumice import names
from pumice.data.encoding import encode
from pumice.nn.probes.membrane import watch_membrane
from pumice.nn.probes.surrogates import watch_surrogates
from pumice.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from pumice.train.finite import check_finite
from pumice.train.history import EpochRecord
from pumice.train.initialize import initialize_by_data_
from pumice.train.isometry import Isometry, isometry
from pumice.train.loop import total_batches, train
from pumice.train.losses import (
    AbstractLoss,
    MeanSquaredErrorLoss,
    MembraneCrossEntropyLoss,
    SpikeCountCrossEntropyLoss,
    SpikeCountLoss,
    SpikeMaxLoss,
    SpikeRateLoss,
    SurrogateModuleLoss,
    VanRossumLoss,
)
from pumice.train.moment_preserving import LayerMoments, moment_preserving_
from pumice.train.predict import predict, predict_counts
from pumice.train.recipe import Recipe, load_recipe, make_recipe
from pumice.train.recipe.presets import PRESETS, find_recipe
from pumice.train.runtime.memory import keep_large_tensors
from pumice.train.trained import Trained, restore

__all__ = [
    "PRESETS",
    "AbstractLoss",
    "Checkpoint",
    "EpochRecord",
    "Isometry",
    "LayerMoments",
    "MeanSquaredErrorLoss",
    "MembraneCrossEntropyLoss",
    "Recipe",
    "SpikeCountCrossEntropyLoss",
    "SpikeCountLoss",
    "SpikeMaxLoss",
    "SpikeRateLoss",
    "SurrogateModuleLoss",
    "Trained",
    "VanRossumLoss",
    "check_finite",
    "encode",
    "find_recipe",
    "initialize_by_data_",
    "isometry",
    "keep_large_tensors",
    "load_checkpoint",
    "load_recipe",
    "make_recipe",
    "moment_preserving_",
    "predict",
    "predict_counts",
    "restore",
    "save_checkpoint",
    "total_batches",
    "train",
    "watch_membrane",
    "watch_surrogates",
]

__getattr__ = names.renamed(  # those of 0.1, until 0.3
    __name__,
    {
        "MembraneCrossEntropy": "pumice.train:MembraneCrossEntropyLoss",
        "SpikeCount": "pumice.train:SpikeCountLoss",
        "SpikeCountCrossEntropy": "pumice.train:SpikeCountCrossEntropyLoss",
        "SpikeMax": "pumice.train:SpikeMaxLoss",
        "VanRossum": "pumice.train:VanRossumLoss",
        "initialise_by_data_": "pumice.train:initialize_by_data_",
        "synchronise_norms": "pumice.nn:synchronize_norms_",
    },
)
