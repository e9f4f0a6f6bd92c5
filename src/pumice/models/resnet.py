"""Residual networks of 18 to 50 layers, by one builder."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import torch

from pumice import nn
from pumice.errors import InputError
from pumice.models.membrane_readout import MembraneReadout
from pumice.names import counted
from pumice.nn.blocks.gradient import set_gradient_
from pumice.nn.blocks.residual import split_norm
from pumice.nn.checks import check_choice, check_image, check_sizes


class _Plan(NamedTuple):
    block: type[nn.ResidualBlock] | type[nn.Bottleneck]
    blocks: tuple[int, ...]
    channels: tuple[int, ...]
    stem: int
    hidden: int | None = None


_PLANS = {
    "18": _Plan(nn.ResidualBlock, (2, 2, 2, 2), (64, 128, 256, 512), stem=64),
    "19": _Plan(nn.ResidualBlock, (3, 3, 2), (128, 256, 512), stem=128, hidden=256),
    "34": _Plan(nn.ResidualBlock, (3, 4, 6, 3), (64, 128, 256, 512), stem=64),
    "34-large": _Plan(nn.ResidualBlock, (3, 4, 6, 3), (128, 256, 512, 1024), stem=128),
    "50": _Plan(nn.Bottleneck, (3, 4, 6, 3), (64, 128, 256, 512), stem=64),
}


def resnet(
    neuron_params: dict[str, Any],
    image_shape: tuple[int, int, int],
    n_classes: int,
    *,
    layers: str | int = "19",
    width: float = 1.0,
    stem_channels: int | None = None,
    stem_kernel: int = 3,
    identity_norm: bool = True,
    gradient: str | nn.Gradient | None = None,
    readout: str = "spikes",
) -> torch.nn.Sequential:
    r"""A deep residual spiking network, as STBP-tdBN trains it.

    .. math:: y(t) = \mathrm{LIF}\Big(W \, \underset{n}{\mathrm{mean}} \, h_n(t) + b\Big), \qquad
        h = B_m(\dots B_1(\mathrm{LIF}(\mathrm{norm}(W_0 * x))))

    with blocks B (`nn.ResidualBlock` or `nn.Bottleneck`) and positions n; without the outer LIF, if membranes answer.

    A convolution, blocks in stages that halve the image and double the channels (all by stride, no pooling), the
    mean over the image, and a linear layer of one neuron per class. ResNet-19 has another linear layer of 256
    neurons before it. The answer is the count of output spikes, or the membrane of neurons that never fire
    (`pumice.models.membrane_readout`), on the chip as in training.

    Zheng, Wu, Deng, Hu, Li: Going Deeper With Directly-Trained Larger Spiking Neural Networks, AAAI 2021;
    ResNet-19 has its 12,700,810 parameters for CIFAR-10. Where the paper's ImageNet networks shrink the image was
    not to be found: here the stem (`stem_kernel` 7) and the first stage do, in place of a maximum pooling.

    Args:
        neuron_params: SLAYER's dictionary for every layer, `current_decay` 1; `norm` is `TDBN` or None.
        image_shape: (channel, height, width).
        n_classes: Neurons of the output layer, one per class.
        layers: "18", "19", "34", "34-large" (twice as wide) or "50" (bottlenecks).
        width: Multiplies all channels and hidden neurons.
        stem_channels: Of the first convolution, before `width`; the plan's own if not given.
        stem_kernel: 3 for small images; 7 has stride 2 and a first stage of stride 2.
        identity_norm: Whether identity shortcuts have a norm, as in the paper.
        gradient: See `nn.ResidualBlock`.
        readout: "spikes" or "membrane".

    Returns:
        (batch, channel, height, width, time) -> (batch, n_classes, time), spikes 0 or 1; with the membrane as
        read-out, real numbers, whose sum over time decides.

    Raises:
        InputError: The arguments do not make a network.

    Example:
        >>> params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": nn.TDBN}
        >>> net = resnet(params, (3, 8, 8), 10, layers=18, width=1 / 16)
        >>> net(torch.ones(2, 3, 8, 8, 4)).shape
        torch.Size([2, 10, 4])
        >>> sum(p.numel() for p in resnet(params, (3, 32, 32), 10).parameters() if p.requires_grad)
        12700810
    """
    check_image("resnet", image_shape)
    check_sizes("resnet", n_classes=n_classes, stem_channels=1 if stem_channels is None else stem_channels)
    check_choice("resnet", "layers", str(layers), _PLANS)
    check_choice("resnet", "readout", readout, ("spikes", "membrane"))
    if stem_kernel not in {3, 7}:
        raise InputError(f"resnet: stem_kernel must be 3 or 7, got {stem_kernel}")
    plan = _PLANS[str(layers)]
    lif, norm, _ = split_norm(neuron_params)
    if gradient is not None:
        lif["gradient"] = gradient
    channels, size = _scaled(plan.stem if stem_channels is None else stem_channels, width), image_shape[1:]
    blocks: OrderedDict[str, torch.nn.Module] = OrderedDict()
    shrinks = 2 if stem_kernel == 7 else 1
    stem = nn.ConvSynapse(image_shape[0], channels, stem_kernel, stride=shrinks, padding=stem_kernel // 2, norm=norm)
    blocks["stem"] = nn.Merge(lif, stem)
    size = _shrunk(size, shrinks)
    for stage, (count, planned) in enumerate(zip(plan.blocks, plan.channels, strict=True), start=1):
        for index in range(1, count + 1):
            stride = 1 if index > 1 else (shrinks if stage == 1 else 2)
            block = plan.block(
                neuron_params,
                channels,
                _scaled(planned, width),
                stride=stride,
                identity_norm=identity_norm,
                gradient=lif["gradient"],
            )
            blocks[f"stage{stage}_block{index}"] = block
            channels = _scaled(planned, width) * plan.block.expansion
            size = _shrunk(size, stride)
    positions = size[0] * size[1]
    if plan.hidden is not None:
        hidden = _scaled(plan.hidden, width)
        blocks["hidden"] = nn.Merge(lif, nn.LinearSynapse(channels, hidden, positions=positions))
        channels, positions = hidden, 1
    if readout == "spikes":
        blocks["output"] = nn.Merge(lif, nn.LinearSynapse(channels, n_classes, positions=positions))
    else:
        blocks["output"] = MembraneReadout(channels, n_classes)
    model = torch.nn.Sequential(blocks)
    set_gradient_(model, lif["gradient"])
    return model


def _scaled(channels: int, width: float) -> int:
    scaled = round(channels * width)
    if scaled < 1:
        raise InputError(
            f"resnet: width {width} leaves nothing of {counted(channels, 'channel')}; use more than "
            f"{0.5 / channels:g}"
        )
    return scaled


def _shrunk(size: tuple[int, int], stride: int) -> tuple[int, int]:
    return -(-size[0] // stride), -(-size[1] // stride)
