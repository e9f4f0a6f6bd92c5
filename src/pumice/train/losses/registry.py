"""Losses by name, for recipes."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from pumice.errors import InputError
from pumice.train.losses.count_cross_entropy import SpikeCountCrossEntropy
from pumice.train.losses.membrane_cross_entropy import MembraneCrossEntropy
from pumice.train.losses.spike_count import SpikeCount
from pumice.train.losses.spike_max import SpikeMax
from pumice.train.losses.spike_rate import SpikeRateLoss
from pumice.train.losses.van_rossum import VanRossum
from pumice.train.sml import SurrogateModuleLoss

_LOSSES: dict[str, type[torch.nn.Module]] = {
    "membrane_cross_entropy": MembraneCrossEntropy,
    "spike_count": SpikeCount,
    "spike_count_cross_entropy": SpikeCountCrossEntropy,
    "spike_max": SpikeMax,
    "spike_rate": SpikeRateLoss,
    "surrogate_module": SurrogateModuleLoss,
    "van_rossum": VanRossum,
}
LOSS_NAMES = tuple(_LOSSES)


def make_loss(name: str, **arguments: Any) -> torch.nn.Module:
    """The loss called `name`.

    Raises:
        InputError: There is no such loss, or it does not take these arguments.

    Example:
        >>> make_loss("spike_rate", true_rate=0.9).true_rate
        0.9
    """
    if name not in _LOSSES:
        raise InputError(f"unknown loss {name!r}; there are: {', '.join(LOSS_NAMES)}")
    try:
        return _LOSSES[name](**arguments)
    except TypeError as error:
        allowed = ", ".join(list(inspect.signature(_LOSSES[name]).parameters))
        raise InputError(f"loss {name!r}: {error}; its arguments are: {allowed}") from error
