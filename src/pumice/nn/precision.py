"""Half precision, which sums over many steps and the grid of a neuron's states need more than."""

from __future__ import annotations

import torch

_HALF = {torch.float16, torch.bfloat16}


def at_least_float32(x: torch.Tensor) -> torch.Tensor:
    """Widen half precision: sums over a batch, and the grid of the neuron behind a norm, need more.

    Example:
        >>> at_least_float32(torch.ones(2, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return x.float() if x.dtype in _HALF else x


def type_of_sum(x: torch.Tensor) -> torch.dtype | None:
    """What a sum of half precision is to be of; None, torch's own choice, for other types.

    Example:
        >>> type_of_sum(torch.ones(2, dtype=torch.bfloat16)), type_of_sum(torch.ones(2))
        (torch.float32, None)
    """
    return torch.float32 if x.dtype in _HALF else None


def for_neurons(current: torch.Tensor) -> torch.Tensor:
    """What neurons receive, widened where autocast made it half precision.

    For neurons that are not called as modules, whose input `pumice.train` would widen: their state lies on a grid of
    12 bits after the point. A network that is in half precision itself stays so.

    Example:
        >>> current = torch.ones(2, dtype=torch.bfloat16)
        >>> with torch.autocast("cpu", torch.bfloat16):
        ...     for_neurons(current).dtype
        torch.float32
        >>> for_neurons(current).dtype
        torch.bfloat16
    """
    return at_least_float32(current) if torch.is_autocast_enabled(current.device.type) else current
