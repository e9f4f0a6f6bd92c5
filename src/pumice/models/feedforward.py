"""Chains of convolution, pooling and dense layers, written in the papers' short notation."""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from lava.lib.dl.slayer.neuron import Dropout

from pumice import nn
from pumice.errors import InputError
from pumice.nn.checks import check_choice, check_image, check_sizes
from pumice.nn.neurons.gradients import find_gradient
from pumice.nn.synapses.delay import MAX_DELAY

POOL_WEIGHT = 1.1
"""Times the threshold: one spike in its window makes a pooling neuron fire (Shrestha and Orchard, NeurIPS 2018)."""
_LAYER = re.compile(r"(?P<channels>\d+)c(?P<kernel>\d+)(s(?P<stride>\d+))?|(?P<pool>\d+)a|(?P<neurons>\d+)")


def feedforward(
    neuron_params: dict[str, Any],
    image_shape: tuple[int, int, int],
    n_classes: int,
    *,
    layers: str | int = "512-512",
    padding: str = "valid",
    delay: bool = False,
    max_delay: int = MAX_DELAY,
    dropout: float = 0.0,
    thresholds: Sequence[float] | None = None,
    weight_scale: float | Sequence[float] = 1.0,
    lateral_inhibition: float | None = None,
) -> torch.nn.Sequential:
    """A chain such as "12c5-2a-64c5-2a", with a dense layer of one neuron per class at its end.

    Args:
        neuron_params: SLAYER's dictionary, used for every layer.
        image_shape: (channel, height, width) of the input.
        n_classes: Neurons of the output layer, one per class; their spike counts are the answer.
        layers: Hidden layers, joined by "-": "12c5" is a convolution with 12 channels and a 5x5 kernel, "16c3s2"
            one with stride 2, "2a" sum pooling over 2x2, "512" a dense layer; convolutions come before dense ones.
        padding: Of convolutions: "valid" (none) or "same" (kernel size // 2).
        delay: Give each hidden dense or convolution layer learnable axonal delays.
        max_delay: Longest delay, steps.
        dropout: Probability that a hidden neuron is silenced for a whole training sample.
        thresholds: Of each layer, the output's last, in place of the one of `neuron_params`.
        weight_scale: What the first weights, PyTorch's, are multiplied by; one for all layers, or one for each, the
            output's last. For networks without a norm; pooling has weights of its own.
        lateral_inhibition: Weight with which each output neuron inhibits all others a step later, > 0
            (`pumice.nn.LateralInhibition`); None: they do not know of each other.

    Returns:
        (batch, channel, height, width, time) -> (batch, n_classes, time), spikes 0 or 1.

    Raises:
        InputError: The notation does not make a network for this input.

    Example:
        >>> params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": nn.TDBN}
        >>> net = feedforward(params, (1, 12, 12), 10, layers="4c5-2a-16")
        >>> [name for name, _ in net.named_children()]
        ['conv1', 'pool2', 'flatten', 'dense3', 'output']
        >>> net(torch.ones(2, 1, 12, 12, 3)).shape
        torch.Size([2, 10, 3])
    """
    check_image("feedforward", image_shape)
    check_sizes("feedforward", n_classes=n_classes)
    check_choice("feedforward", "padding", padding, ("valid", "same"))
    if not 0 <= dropout < 1 or not 0 <= max_delay <= MAX_DELAY:
        raise InputError(
            f"feedforward: dropout must lie in 0..1 (below 1) and max_delay in 0..{MAX_DELAY}, "
            f"got {dropout} and {max_delay}"
        )
    names = str(layers)  # a single dense layer is a number in a recipe
    each = _each_layer(neuron_params, thresholds, weight_scale, len(names.split("-")) + 1 if names else 1)
    blocks: OrderedDict[str, torch.nn.Module] = OrderedDict()
    shape: tuple[int, ...] = image_shape
    for index, text in enumerate(names.split("-") if names else [], start=1):
        params, options = each[index - 1]
        layer = _LAYER.fullmatch(text)
        where = f"feedforward: layer {index}, {text!r}, of {names!r}"
        if layer is None:
            raise InputError(f'{where}: expected "12c5", "12c5s2", "2a" or "512"')
        if layer["neurons"] is None and len(shape) == 1:
            raise InputError(f"{where}: convolution and pooling come before dense layers")
        if layer["channels"] is not None:
            name, (block, shape) = (
                f"conv{index}",
                _conv(params, shape, layer, where, padding=padding, delay=delay, **options),
            )
        elif layer["pool"] is not None:
            name, (block, shape) = f"pool{index}", _pool(params, shape, int(layer["pool"]), where)
        else:
            _flatten(blocks, shape)
            neurons = int(layer["neurons"])
            if neurons < 1:
                raise InputError(f"{where}: a layer needs at least one neuron")
            name, block = f"dense{index}", nn.Dense(params, _size(shape), neurons, delay=delay, **options)
            shape = (neurons,)
        if getattr(block, "delay", None) is not None:
            block.delay.max_delay = max_delay
        if dropout:
            block.neuron.drop = Dropout(dropout)
        blocks[name] = block
    _flatten(blocks, shape)
    params, options = each[-1]
    if "gradient" in params:
        params = {**params, "gradient": find_gradient(params["gradient"]).of_output()}
    kind = nn.Dense if lateral_inhibition is None else partial(nn.LateralInhibition, strength=lateral_inhibition)
    blocks["output"] = kind(params, _size(shape), n_classes, **options)
    return torch.nn.Sequential(blocks)


def _each_layer(
    params: dict[str, Any], thresholds: Sequence[float] | None, weight_scale: float | Sequence[float], n: int
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Neuron parameters and options of each layer, the output's last."""
    scales = [weight_scale] * n if isinstance(weight_scale, (int, float)) else list(weight_scale)
    chosen = [params["threshold"]] * n if thresholds is None else list(thresholds)
    for name, values in (("thresholds", chosen), ("weight_scale", scales)):
        if len(values) != n or not all(0 < value < math.inf for value in values):
            raise InputError(
                f"feedforward: {name} must be {n} finite numbers > 0, one for each layer and the output's last, "
                f"got {values}"
            )
    return [
        ({**params, "threshold": threshold}, {} if scale == 1 else {"weight_scale": scale})
        for threshold, scale in zip(chosen, scales, strict=True)
    ]


def _conv(
    params: dict[str, Any],
    shape: tuple[int, ...],
    layer: re.Match[str],
    where: str,
    *,
    padding: str,
    delay: bool,
    **options: Any,
) -> tuple[Any, tuple[int, ...]]:
    channels, kernel, stride = int(layer["channels"]), int(layer["kernel"]), int(layer["stride"] or 1)
    pad = kernel // 2 if padding == "same" else 0
    sides = [(side + 2 * pad - kernel) // max(stride, 1) + 1 for side in shape[1:]]
    if min(channels, kernel, stride, *sides) < 1:
        raise InputError(f"{where}: does not fit an input of {shape[1]} x {shape[2]}")
    block = nn.Conv(params, shape[0], channels, kernel, stride=stride, padding=pad, delay=delay, **options)
    return block, (channels, *sides)


def _pool(params: dict[str, Any], shape: tuple[int, ...], kernel: int, where: str) -> tuple[Any, tuple[int, ...]]:
    if kernel < 1 or any(side % kernel for side in shape[1:]):
        raise InputError(f"{where}: pooling must divide its input of {shape[1]} x {shape[2]}")
    # A pooling neuron answers each spike at once and forgets it.
    at_once = {**params, "current_decay": 1.0, "voltage_decay": 1.0, "norm": None}
    block = nn.Pool(at_once, kernel, weight_scale=POOL_WEIGHT * params["threshold"])
    block.synapse.weight.requires_grad = False  # its weights are all alike
    return block, (shape[0], *(side // kernel for side in shape[1:]))


def _flatten(blocks: OrderedDict[str, torch.nn.Module], shape: tuple[int, ...]) -> None:
    if len(shape) > 1:
        blocks["flatten"] = nn.Flatten()


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size
