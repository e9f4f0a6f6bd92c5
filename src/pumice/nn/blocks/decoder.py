"""Blocks that make an image larger."""

from __future__ import annotations

from typing import Any

from pumice.nn.blocks.merge import Merge
from pumice.nn.synapses.base import Pair
from pumice.nn.synapses.conv_transpose import ConvTransposeSynapse, UpsampleSynapse


class ConvT(Merge):
    """Transposed convolution into CUBA neurons, as lava-dl's `block.cuba.ConvT`, zero latency in training.

    Args:
        neuron_params: SLAYER's dictionary; `norm` may be `TDBN`.
        in_features: Channels in.
        out_features: Channels out.
        kernel_size: One number or (height, width).
        delay: Learn an axonal `Delay` per channel.
        **options: stride, padding, output_padding, dilation and groups, see `ConvTransposeSynapse`.

    Shape:
        (batch, in_features, height, width, time) -> (batch, out_features, height', width', time), spikes 0 or 1.

    Raises:
        InputError: As `ConvTransposeSynapse` and `Merge`.

    Example:
        >>> import torch
        >>> from pumice.nn import TDBN
        >>> params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": TDBN}
        >>> ConvT(params, 4, 2, 2, stride=2)(torch.ones(1, 4, 3, 5, 6)).shape
        torch.Size([1, 2, 6, 10, 6])
    """

    def __init__(
        self,
        neuron_params: dict[str, Any],
        in_features: int,
        out_features: int,
        kernel_size: Pair,
        *,
        delay: bool = False,
        **options: Any,
    ) -> None:
        lif, norm = _without_norm(neuron_params)
        super().__init__(
            lif, ConvTransposeSynapse(in_features, out_features, kernel_size, norm=norm, **options), delay=delay
        )


class Upsample(Merge):
    """Nearest-neighbour upsampling into CUBA neurons: each spike reaches a square of them, with a weight of 1.

    Args:
        neuron_params: SLAYER's dictionary; `norm` may be `TDBN`. Without, a spike goes on if the
            threshold is below 1.
        channels: Channels.
        factor: One number or (height, width).
        delay: Learn an axonal `Delay` per channel.

    Shape:
        (batch, channel, height, width, time) -> (batch, channel, factor * height, factor * width, time), spikes 0 or
        1.

    Raises:
        InputError: As `UpsampleSynapse` and `Merge`.

    Example:
        >>> import torch
        >>> params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 1.0}
        >>> x = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2, 1)
        >>> Upsample(params, 1, 2)(x)[0, 0, :, :, 0].tolist()
        [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]
    """

    def __init__(self, neuron_params: dict[str, Any], channels: int, factor: Pair, *, delay: bool = False) -> None:
        lif, norm = _without_norm(neuron_params)
        super().__init__(lif, UpsampleSynapse(channels, factor, norm=norm), delay=delay)


def _without_norm(neuron_params: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The neuron's parameters, and the norm, which is the synapse's."""
    lif = {name: value for name, value in neuron_params.items() if name != "norm"}
    return lif, neuron_params.get("norm")
