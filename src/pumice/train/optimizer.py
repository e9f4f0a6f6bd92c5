"""The optimiser that a recipe names."""

from __future__ import annotations

from typing import Any

import torch

from pumice import names
from pumice.errors import InputError
from pumice.train.optimizers import OPTIMIZERS
from pumice.train.recipe import TrainingSection

DELAY = "delay.delay"
"""How the names of axonal delays end."""


def make_optimizer(model: torch.nn.Module, settings: TrainingSection) -> torch.optim.Optimizer:
    """An optimiser of all parameters; delays are a group of their own, with `lr_scale` and without weight decay.

    Args:
        model: The network.
        settings: Says which optimiser: "adamw", "adam" (weight decay as part of the gradient), "sgd", or one of the
            user's own, which is given `params`, `lr` and `weight_decay` as far as it has arguments of these names.

    Raises:
        InputError: There is no such optimiser, or it does not take its arguments.

    Example:
        >>> make_optimizer(torch.nn.Linear(2, 1), TrainingSection(optimizer="sgd")).defaults["momentum"]
        0.9
    """
    named = list(model.named_parameters())
    groups: list[dict[str, Any]] = [{"params": [p for name, p in named if not name.endswith(DELAY)]}]
    delays = [p for name, p in named if name.endswith(DELAY)]
    if delays:
        groups.append({"params": delays, "weight_decay": 0.0, "lr_scale": settings.delay_lr})
    offered: dict[str, Any] = {"params": groups, "lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        offered["momentum"] = settings.momentum
    optimizer = names.make(settings.optimizer, OPTIMIZERS, "optimiser", settings.optimizer_args, **offered)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise InputError(f"optimiser {settings.optimizer!r} gives a {type(optimizer).__name__}, no torch Optimizer")
    return optimizer
