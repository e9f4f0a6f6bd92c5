"""Losses by name, for recipes."""

from __future__ import annotations

from typing import Any

import torch

from pumice import names
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


def make_loss(name: str, **arguments: Any) -> Any:
    """The loss called `name`, or an object of your own, "package.module:Class".

    A loss is a function of what the network returns, spikes (batch, class, time), and the labels (batch,). One of
    your own gets whatever the network returns, all outputs if there are several, unless it has an attribute `reads`:
    see `watch_answer`.

    Raises:
        InputError: There is no such loss, or it does not take these arguments.

    Example:
        >>> make_loss("spike_rate", true_rate=0.9).true_rate
        0.9
    """
    loss = names.make(name, _LOSSES, "loss", arguments)
    if not callable(loss):
        raise InputError(f"loss {name!r} gives a {type(loss).__name__}, and must give what can be called (a Module)")
    return loss
