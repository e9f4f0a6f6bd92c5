"""Models by name, for recipes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from pumice.errors import InputError
from pumice.models.convnet import convnet
from pumice.models.feedforward import feedforward
from pumice.models.resnet import resnet
from pumice.models.stmixer import stmixer

# Each takes (neuron_params, image_shape, n_classes) and its own keyword arguments.
_MODELS: dict[str, Callable[..., torch.nn.Module]] = {
    "convnet": convnet,
    "feedforward": feedforward,
    "resnet": resnet,
    "stmixer": stmixer,
}
MODEL_NAMES = tuple(_MODELS)


def build_model(
    name: str,
    neuron_params: dict[str, Any],
    image_shape: tuple[int, int, int],
    n_classes: int,
    **arguments: Any,
) -> torch.nn.Module:
    """The model called `name`, with fresh weights from torch's global random generator.

    Args:
        name: One of `MODEL_NAMES`.
        neuron_params: SLAYER's dictionary, used for every layer.
        image_shape: (channel, height, width).
        n_classes: Neurons of the output layer.
        **arguments: The model's own keyword arguments.

    Raises:
        InputError: There is no such model, or it does not take these arguments.

    Example:
        >>> params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75}
        >>> build_model("convnet", params, (1, 8, 8), 10, channels=[4], strides=[2]).output.neuron.threshold
        0.5
    """
    if name not in _MODELS:
        raise InputError(f"unknown network {name!r}; there are: {', '.join(MODEL_NAMES)}")
    try:
        return _MODELS[name](neuron_params, image_shape, n_classes, **arguments)
    except TypeError as error:
        allowed = list(inspect.signature(_MODELS[name]).parameters)[3:]
        raise InputError(f"network {name!r}: {error}; its arguments are: {', '.join(allowed)}") from error
