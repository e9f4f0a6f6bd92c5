"""Losses on the output layer, one per file; recipes choose them by name."""

from pumice import names
from pumice.train.losses.base import AbstractLoss
from pumice.train.losses.count_cross_entropy import SpikeCountCrossEntropyLoss
from pumice.train.losses.count_margin import CountMarginLoss
from pumice.train.losses.mean_squared_error import MeanSquaredErrorLoss
from pumice.train.losses.membrane_cross_entropy import MembraneCrossEntropyLoss
from pumice.train.losses.registry import LOSSES, make_loss
from pumice.train.losses.spike_count import SpikeCountLoss
from pumice.train.losses.spike_max import SpikeMaxLoss
from pumice.train.losses.spike_rate import SpikeRateLoss
from pumice.train.losses.surrogate_module import SurrogateModuleLoss
from pumice.train.losses.van_rossum import VanRossumLoss

__all__ = [
    "LOSSES",
    "AbstractLoss",
    "CountMarginLoss",
    "MeanSquaredErrorLoss",
    "MembraneCrossEntropyLoss",
    "SpikeCountCrossEntropyLoss",
    "SpikeCountLoss",
    "SpikeMaxLoss",
    "SpikeRateLoss",
    "SurrogateModuleLoss",
    "VanRossumLoss",
    "make_loss",
]

__getattr__ = names.renamed(  # those of 0.1, until 0.3
    __name__,
    {
        "LOSS_NAMES": "pumice.train.losses.registry:LOSSES",
        "MembraneCrossEntropy": "pumice.train.losses:MembraneCrossEntropyLoss",
        "SpikeCount": "pumice.train.losses:SpikeCountLoss",
        "SpikeCountCrossEntropy": "pumice.train.losses:SpikeCountCrossEntropyLoss",
        "SpikeMax": "pumice.train.losses:SpikeMaxLoss",
        "VanRossum": "pumice.train.losses:VanRossumLoss",
    },
)
