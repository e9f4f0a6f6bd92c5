"""The square root of a variance."""

from __future__ import annotations

import torch


def deviation(var: torch.Tensor) -> torch.Tensor:
    """Square root of a variance, and NaN where that is infinite: a gain of 0 would hide it.

    Example:
        >>> deviation(torch.tensor([4.0, torch.inf])).tolist()
        [2.0, nan]
    """
    return torch.sqrt(var) + (var - var)
