"""Parameters of neurons, one number or one per channel."""

from __future__ import annotations

from typing import Any

import torch

from pumice.frameworks.facts import refusal


def per_channel(path: str, name: str, value: Any, features: tuple[int, ...]) -> Any:
    """A parameter as one number, or one per channel.

    Args:
        path: The module's name, for the message.
        name: The parameter's.
        value: A number, or a tensor that torch would broadcast to the neurons.
        features: Shape of the neurons.

    Raises:
        InputError: It differs within a channel.

    Example:
        >>> per_channel("lif", "beta", torch.tensor([0.5, 0.25]), (2,))
        tensor([0.5000, 0.2500])
    """
    if not isinstance(value, torch.Tensor):
        return value
    if value.ndim == 2 and len(features) == 3 and features[1] == 1:  # neurons in a row: (channel, length)
        value = value.unsqueeze(1)
    shape = tuple(value.shape)
    # As torch aligns shapes: a shape (n,) on an image is one value for each column.
    axis = -len(features)
    by_channel = value.ndim >= len(features) and shape[axis] == features[0] == value.numel()
    found = value.reshape(-1) if by_channel else None
    if shape == features and len(features) > 1:
        first = value.reshape(features[0], -1)
        found = first[:, 0] if bool((first == first[:, :1]).all()) else None
    if found is None:
        raise refusal(
            path,
            f"{name} must be one number or one per channel ({features[0]}), got shape {shape} at neurons {features}",
            f"give each channel one value, in shape {(features[0], *[1] * (len(features) - 1))}",
        )
    return float(found[0]) if bool((found == found[0]).all()) else found.clone()
