"""A small convolutional chain: the demo's network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch

from pumice import nn
from pumice.errors import InputError
from pumice.nn.checks import check_image, check_sizes


def convnet(
    neuron_params: dict[str, Any],
    image_shape: tuple[int, int, int],
    n_classes: int,
    *,
    channels: Sequence[int] = (16, 32),
    strides: Sequence[int] = (1, 2),
    kernel_size: int = 3,
) -> torch.nn.Sequential:
    """Convolutions with "same" padding, then one dense layer whose spike counts are the answer.

    Downsampling is by stride, not by pooling, as in Zheng et al., AAAI 2021.

    Args:
        neuron_params: SLAYER's dictionary, used for every layer.
        image_shape: (channel, height, width).
        n_classes: Neurons of the output layer, one per class.
        channels: Output channels of each convolution, at least one.
        strides: Stride of each convolution.
        kernel_size: Height and width of the kernels, odd.

    Returns:
        (batch, channel, height, width, time) -> (batch, n_classes, time), spikes 0 or 1.

    Raises:
        InputError: The arguments do not make a network.

    Example:
        >>> params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": nn.TDBN}
        >>> net = convnet(params, (1, 8, 8), 10)
        >>> net(torch.ones(2, 1, 8, 8, 4)).shape
        torch.Size([2, 10, 4])
    """
    check_image("convnet", image_shape)
    check_sizes("convnet", n_classes=n_classes)
    if not channels or len(channels) != len(strides):
        raise InputError(f"convnet: channels {list(channels)} and strides {list(strides)} must be equally many, >= 1")
    if min(*channels, *strides) < 1 or kernel_size < 1 or kernel_size % 2 == 0:
        raise InputError(
            f"convnet: channels and strides must be >= 1 and the kernel size odd, "
            f"got {list(channels)}, {list(strides)} and {kernel_size}"
        )
    n_in, height, width = image_shape
    blocks: OrderedDict[str, torch.nn.Module] = OrderedDict()
    for index, (n_out, stride) in enumerate(zip(channels, strides, strict=True), start=1):
        blocks[f"conv{index}"] = nn.Conv(
            neuron_params, n_in, n_out, kernel_size, stride=stride, padding=kernel_size // 2
        )
        n_in, height, width = n_out, -(-height // stride), -(-width // stride)
    blocks["flatten"] = nn.Flatten()
    blocks["output"] = nn.Dense(neuron_params, n_in * height * width, n_classes)
    return torch.nn.Sequential(blocks)
