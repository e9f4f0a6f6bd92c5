"""Weights that torch computes from other parameters whenever a module is called: weight norm, pruning."""

from __future__ import annotations

import torch
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm


def weight_of(module: torch.nn.Module) -> torch.Tensor:
    """The module's weight, computed anew where a hook would do that; for who uses it without calling the module.

    Example:
        >>> linear = torch.nn.utils.weight_norm(torch.nn.Linear(1, 1))
        >>> _ = linear.weight_g.data.fill_(3)
        >>> weight_of(linear).abs().item()
        3.0
    """
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, (WeightNorm, SpectralNorm, BasePruningMethod)):
            hook(module, ())
    weight: torch.Tensor = module.weight  # type: ignore[assignment]
    return weight
