"""What turns a current into spikes, or, in an artificial network, into activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pumice.errors import InputError
from pumice.nn.cuba import CubaNeuron
from pumice.nn.current import Current

NeuronLayer = Callable[[], torch.nn.Module]
"""Makes a layer that takes a `Current` and gives a tensor: `Neurons` or `Activation`."""


class Neurons(torch.nn.Module):
    r"""CUBA neurons without synapses of their own, driven by a `Current`.

    .. math:: s = \mathrm{CUBA}\Big(\sum_k W_k s_k\Big)

    Deployed, this is a population with one synapse for each term of the current. Populations that share a term share
    its integers too, hence their scale: they must have the same threshold.

    Args:
        neuron_params: SLAYER's dictionary; a norm belongs to each arm, not here.

    Shape:
        A `Current` of (batch, channel, ..., time) -> spikes of that shape.

    Raises:
        InputError: There is a norm in `neuron_params`.

    Example:
        >>> from pumice.nn import ConvArm
        >>> lif = Neurons({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5})
        >>> lif(Current.of(ConvArm(2, 3, 1), torch.ones(1, 2, 4, 4, 5))).shape
        torch.Size([1, 3, 4, 4, 5])
    """

    def __init__(self, neuron_params: dict[str, Any]) -> None:
        super().__init__()
        if neuron_params.get("norm") is not None:
            raise InputError("Neurons: give each arm its own norm instead of neuron_params['norm']")
        self.neuron: Any = CubaNeuron(**neuron_params)
        self.delay = None

    def forward(self, current: Current) -> torch.Tensor:
        """Spikes 0 or 1."""
        spikes: torch.Tensor = self.neuron(current.value)
        return spikes


class Activation(torch.nn.Module):
    """The place of `Neurons` in an artificial network.

    Args:
        function: Elementwise, such as `torch.nn.GELU()`.

    Example:
        >>> Activation(torch.nn.ReLU())(Current.holding(torch.tensor([[-1.0, 2.0]]))).tolist()
        [[0.0, 2.0]]
    """

    def __init__(self, function: torch.nn.Module) -> None:
        super().__init__()
        self.function = function

    def forward(self, current: Current) -> torch.Tensor:
        """The activations, shaped like the current."""
        activations: torch.Tensor = self.function(current.value)
        return activations
