"""Regularisers by name, for recipes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from pumice.errors import InputError
from pumice.train.regularisers.activity import Activity
from pumice.train.regularisers.fan_out import fan_out
from pumice.train.regularisers.synaptic_events import SynapticEvents

Regulariser = Callable[[Mapping[str, torch.Tensor]], torch.Tensor]
REGULARISER_NAMES = ("activity", "synaptic_events")


def make_regularisers(
    chosen: Mapping[str, Mapping[str, Any]], model: torch.nn.Module, example_input: torch.Tensor
) -> list[Regulariser]:
    """The regularisers that a recipe chooses.

    Args:
        chosen: Name -> keyword arguments.
        model: The network.
        example_input: A batch as in training.

    Raises:
        InputError: There is no such regulariser, or it does not take these arguments.

    Example:
        >>> len(make_regularisers({"activity": {"weight": 0.1}}, torch.nn.Identity(), torch.zeros(1)))
        1
    """
    made: list[Regulariser] = []
    for name, arguments in chosen.items():
        if name not in REGULARISER_NAMES:
            raise InputError(f"unknown regulariser {name!r}; there are: {', '.join(REGULARISER_NAMES)}")
        try:
            if name == "activity":
                made.append(Activity(**arguments))
            else:
                made.append(SynapticEvents(fan_out(model, example_input), **arguments))
        except TypeError as error:
            raise InputError(f"regulariser {name!r}: {error}") from error
    return made
