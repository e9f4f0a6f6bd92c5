"""Regularisers by name, for recipes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from pumice import names
from pumice.train.regularizers.activity import Activity
from pumice.train.regularizers.exponential_weights import ExponentialWeights
from pumice.train.regularizers.fan_out import fan_out
from pumice.train.regularizers.planned_cost import PlannedCost
from pumice.train.regularizers.synaptic_events import SynapticEvents

Regularizer = Callable[[Mapping[str, torch.Tensor]], torch.Tensor]


def make_regularizers(
    chosen: Mapping[str, Mapping[str, Any]], model: torch.nn.Module, example_input: torch.Tensor
) -> list[Regularizer]:
    """The regularizers that a recipe chooses.

    Args:
        chosen: Name, or "package.module:Class" of your own -> keyword arguments.
        model: The network; given to a class that has an argument of the name.
        example_input: A batch as in training; likewise.

    Raises:
        InputError: There is no such regulariser, or it does not take these arguments.

    Example:
        >>> len(make_regularizers({"activity": {"weight": 0.1}}, torch.nn.Identity(), torch.zeros(1)))
        1
    """
    return [
        names.make(name, _REGULARIZERS, "regulariser", arguments, model=model, example_input=example_input)
        for name, arguments in chosen.items()
    ]


def _synaptic_events(model: torch.nn.Module, example_input: torch.Tensor, weight: float = 1.0) -> SynapticEvents:
    return SynapticEvents(fan_out(model, example_input), weight)


_REGULARIZERS: dict[str, Callable[..., Regularizer]] = {
    "activity": Activity,
    "exponential_weights": ExponentialWeights,
    "planned_cost": PlannedCost,
    "synaptic_events": _synaptic_events,
}
REGULARIZER_NAMES = tuple(_REGULARIZERS)
