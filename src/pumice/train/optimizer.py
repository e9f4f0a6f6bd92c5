"""The optimiser that a recipe names."""

from __future__ import annotations

from typing import Any

import torch

from pumice.train.recipe import TrainingSection

DELAY = "delay.delay"
"""How the names of axonal delays end."""


def make_optimizer(model: torch.nn.Module, settings: TrainingSection) -> torch.optim.Optimizer:
    """An optimiser of all parameters; delays are a group of their own, with `lr_scale` and without weight decay.

    Args:
        model: The network.
        settings: Says which optimiser: "adamw", "adam" (weight decay as part of the gradient), or "sgd".

    Example:
        >>> make_optimizer(torch.nn.Linear(2, 1), TrainingSection(optimizer="sgd")).defaults["momentum"]
        0.9
    """
    named = list(model.named_parameters())
    groups: list[dict[str, Any]] = [{"params": [p for name, p in named if not name.endswith(DELAY)]}]
    delays = [p for name, p in named if name.endswith(DELAY)]
    if delays:
        groups.append({"params": delays, "weight_decay": 0.0, "lr_scale": settings.delay_lr})
    lr, weight_decay = settings.lr, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=settings.momentum, weight_decay=weight_decay)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer]
    return kind(groups, lr=lr, weight_decay=weight_decay)
