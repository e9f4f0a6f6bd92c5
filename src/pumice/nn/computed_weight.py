"""Weights that torch computes from other parameters whenever a module is called: weight norm, pruning."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm


def weight_of(module: torch.nn.Module) -> torch.Tensor:
    """The module's weight, computed anew where a hook would do that; for who uses it without calling the module.

    Example:
        >>> linear = torch.nn.utils.prune.l1_unstructured(torch.nn.Linear(2, 1), "weight", amount=1)
        >>> _ = linear.weight_orig.data.fill_(3)
        >>> weight_of(linear).sum().item()
        3.0
    """
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, (WeightNorm, SpectralNorm, BasePruningMethod)):
            hook(module, ())
    weight: torch.Tensor = module.weight  # type: ignore[assignment]
    return weight


def detached_state(module: torch.nn.Module) -> dict[str, Any]:
    """A module's attributes without the history of computed weights, which torch refuses to copy.

    Weight norm and pruning keep the weight as a tensor that is computed when the module is called. The copy computes
    its own when it is called.

    Example:
        >>> module = torch.nn.Module()
        >>> module.weight = 2 * torch.ones(1, requires_grad=True)
        >>> detached_state(module)["weight"]
        tensor([2.])
    """
    return {
        name: value.detach() if isinstance(value, torch.Tensor) and not value.is_leaf else value
        for name, value in vars(module).items()
    }
