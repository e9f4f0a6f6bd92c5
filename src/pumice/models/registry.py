"""Models by name, for recipes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pumice import names
from pumice.errors import InputError
from pumice.models.convnet import convnet
from pumice.models.feedforward import feedforward
from pumice.models.resnet import resnet
from pumice.models.self_normalizing import self_normalizing
from pumice.models.stmixer import stmixer

_MODELS: dict[str, Callable[..., torch.nn.Module]] = {
    "convnet": convnet,
    "feedforward": feedforward,
    "resnet": resnet,
    "self_normalizing": self_normalizing,
    "stmixer": stmixer,
}
MODEL_NAMES = tuple(_MODELS)


def build_model(
    name: str,
    neuron_params: dict[str, Any],
    image_shape: tuple[int, int, int],
    n_classes: int,
    /,
    **arguments: Any,
) -> torch.nn.Module:
    """The model called `name`, with fresh weights from torch's global random generator.

    Args:
        name: One of `MODEL_NAMES`, or "package.module:object" of your own: a class or function that makes the model,
            and is given those of the next three arguments that it names.
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
    offered = {"neuron_params": neuron_params, "image_shape": image_shape, "n_classes": n_classes}
    model = names.make(name, _MODELS, "network", arguments, **offered)
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"network {name!r} gives a {type(model).__name__}, and must give a torch.nn.Module")
    return model
