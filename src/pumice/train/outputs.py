"""What of a network's returned tensors is its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from pumice.errors import InputError


def first_output(returned: Any) -> torch.Tensor:
    """The tensor that accuracy is about: the returned one, or the first of several.

    Args:
        returned: By a network: a tensor, or a tuple, list or dictionary with one first.

    Raises:
        InputError: There is no tensor first.

    Example:
        >>> first_output({"main": torch.ones(1), "aux": torch.zeros(1)})
        tensor([1.])
    """
    found = returned
    while isinstance(found, (tuple, list, Mapping)) and found:
        found = next(iter(found.values() if isinstance(found, Mapping) else found))
    if not isinstance(found, torch.Tensor):
        raise InputError(
            f"the network must return spikes (batch, class, time), or several outputs with them first; it returned a "
            f"{type(returned).__name__}"
        )
    return found
