"""Losses by name, for recipes."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from pumice import names
from pumice.errors import InputError
from pumice.train.losses.base import AbstractLoss, OwnLoss, WeightedLoss
from pumice.train.losses.count_cross_entropy import SpikeCountCrossEntropyLoss
from pumice.train.losses.count_margin import CountMarginLoss
from pumice.train.losses.mean_squared_error import MeanSquaredErrorLoss
from pumice.train.losses.membrane_cross_entropy import MembraneCrossEntropyLoss
from pumice.train.losses.spike_count import SpikeCountLoss
from pumice.train.losses.spike_max import SpikeMaxLoss
from pumice.train.losses.spike_rate import SpikeRateLoss
from pumice.train.losses.surrogate_module import SurrogateModuleLoss
from pumice.train.losses.van_rossum import VanRossumLoss

LOSSES: dict[str, type[AbstractLoss]] = {
    "count_margin": CountMarginLoss,
    "mean_squared_error": MeanSquaredErrorLoss,
    "membrane_cross_entropy": MembraneCrossEntropyLoss,
    "spike_count": SpikeCountLoss,
    "spike_count_cross_entropy": SpikeCountCrossEntropyLoss,
    "spike_max": SpikeMaxLoss,
    "spike_rate": SpikeRateLoss,
    "surrogate_module": SurrogateModuleLoss,
    "van_rossum": VanRossumLoss,
}


def make_loss(name: str, /, *, class_weights: Sequence[float] | None = None, **arguments: Any) -> AbstractLoss:
    """The loss called `name`, or an object of your own, "package.module:Class".

    A loss is a function of what the network returns, spikes (batch, class, time), and the labels (batch,). One of
    your own gets whatever the network returns, all outputs if there are several, unless it has an attribute `reads`:
    see `AbstractLoss`.

    Args:
        name: As in `LOSSES`, or of your own.
        class_weights: How much each class counts, where the loss has this argument.
        **arguments: Its own.

    Raises:
        InputError: There is no such loss, or it does not take these arguments.

    Example:
        >>> make_loss("spike_rate", true_rate=0.9).true_rate
        0.9
    """
    if class_weights is not None:
        found = names.find(name, LOSSES, "loss")
        if "class_weights" not in inspect.signature(found).parameters:
            takers = ", ".join(known for known, kind in LOSSES.items() if issubclass(kind, WeightedLoss))
            raise InputError(f"loss {name!r} has no argument class_weights; these losses have: {takers}")
        arguments = {"class_weights": class_weights, **arguments}
    loss = names.make(name, LOSSES, "loss", arguments)
    if isinstance(loss, AbstractLoss):
        return loss
    if not callable(loss):
        raise InputError(f"loss {name!r} gives a {type(loss).__name__}, and must give what can be called (a Module)")
    return OwnLoss(loss)
