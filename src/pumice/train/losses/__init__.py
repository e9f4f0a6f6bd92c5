"""Losses on the output layer, one per file; recipes choose them by name."""

from pumice.train.losses.count_cross_entropy import SpikeCountCrossEntropy
from pumice.train.losses.membrane_cross_entropy import MembraneCrossEntropy
from pumice.train.losses.registry import LOSS_NAMES, make_loss
from pumice.train.losses.spike_count import SpikeCount
from pumice.train.losses.spike_max import SpikeMax
from pumice.train.losses.spike_rate import SpikeRateLoss
from pumice.train.losses.van_rossum import VanRossum
from pumice.train.sml import SurrogateModuleLoss

__all__ = [
    "LOSS_NAMES",
    "MembraneCrossEntropy",
    "SpikeCount",
    "SpikeCountCrossEntropy",
    "SpikeMax",
    "SpikeRateLoss",
    "SurrogateModuleLoss",
    "VanRossum",
    "make_loss",
]
