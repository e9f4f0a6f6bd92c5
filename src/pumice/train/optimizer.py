"""The optimiser that a recipe names."""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any

import torch
from lava.lib.dl.slayer.neuron import cuba

from pumice import names
from pumice.errors import FileFormatError, InputError
from pumice.names import counted
from pumice.train.optimizers import OPTIMIZERS
from pumice.train.recipe import TrainingSection

DELAY = "delay.delay"
"""How the names of axonal delays end."""


def make_optimizer(model: torch.nn.Module, settings: TrainingSection) -> torch.optim.Optimizer:
    """An optimiser of all parameters; delays and decays that learn are groups with `lr_scale`, without weight decay.

    Decays move by the learning rate in their own unit, 0 to 1, though lava-dl's neurons keep them in 1/4096.

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
    delays = [p for name, p in named if name.endswith(DELAY)]
    decays = _learned_decays(model)
    apart = {id(p) for p in (*delays, *chain(*decays.values()))}
    groups: list[dict[str, Any]] = [{"params": [p for _, p in named if id(p) not in apart]}]
    if delays:
        groups.append({"params": delays, "weight_decay": 0.0, "lr_scale": settings.delay_lr})
    for unit, parameters in decays.items():
        groups.append({"params": parameters, "weight_decay": 0.0, "lr_scale": float(unit)})
    offered: dict[str, Any] = {"params": groups, "lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        offered["momentum"] = settings.momentum
    optimizer = names.make(settings.optimizer, OPTIMIZERS, "optimiser", settings.optimizer_args, **offered)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise InputError(f"optimiser {settings.optimizer!r} gives a {type(optimizer).__name__}, no torch Optimizer")
    return optimizer


def load_optimizer_state(optimizer: Any, state: dict[str, Any] | None) -> None:
    """Go on with the state of a checkpoint, if there is one.

    Raises:
        FileFormatError: It is of another network, or of a version that made other groups of parameters.
    """
    if state is None:
        return
    groups = [len(each.get("param_groups", ())) for each in (state, optimizer.state_dict())]
    if groups[0] != groups[1]:
        raise FileFormatError(
            f"the checkpoint's optimiser has {counted(groups[0], 'group')} of parameters, the network's {groups[1]}: "
            "it was written before decays that learn were a group; begin anew from its weights (network.weights)"
        )
    try:
        optimizer.load_state_dict(copy.deepcopy(state))  # torch would go on with the same tensors
    except (KeyError, ValueError, TypeError) as error:
        raise FileFormatError(f"the checkpoint's optimiser state does not fit its network: {error}") from error


def _learned_decays(model: torch.nn.Module) -> dict[int, list[torch.nn.Parameter]]:
    """By the number that stands for a decay of 1."""
    found: dict[int, list[torch.nn.Parameter]] = {}
    for neuron in model.modules():
        if isinstance(neuron, cuba.Neuron):
            for decay in (neuron.current_decay, neuron.voltage_decay):
                if decay.requires_grad:
                    found.setdefault(neuron.p_scale, []).append(decay)
    return found
