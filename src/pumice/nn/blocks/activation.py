"""What turns a current into spikes, or, in an artificial network, into activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lava.lib.dl.slayer.neuron import cuba as slayer_neuron

from pumice.errors import InputError
from pumice.nn.blocks.current import Current, check_current
from pumice.nn.checks import check_choice
from pumice.nn.neuron_params import check_neuron_params
from pumice.nn.neurons.cuba import CubaNeuron
from pumice.nn.neurons.floating import FloatCubaNeuron

NeuronLayer = Callable[[], torch.nn.Module]
"""Makes a layer that takes a `Current` and gives a tensor: `Neurons` or `Activation`."""


def make_neuron(where: str, neuron_params: dict[str, Any]) -> CubaNeuron:
    """The neurons of a block whose synapses have norms of their own.

    Args:
        where: The block.
        neuron_params: SLAYER's dictionary, without a norm; or, with "dynamics": "float", the arguments of a
            `FloatCubaNeuron`.

    Raises:
        InputError: There is a norm, a number is missing, or there are no such dynamics.

    Example:
        >>> make_neuron("Merge", {})
        Traceback (most recent call last):
        pumice.errors.InputError: Merge: neuron_params must have threshold, current_decay, voltage_decay, got nothing
    """
    given = neuron_params if isinstance(neuron_params, Mapping) else {}
    if given.get("norm") is not None:
        raise InputError(f"{where}: give each synapse its own norm instead of neuron_params['norm']")
    dynamics = given.get("dynamics", "slayer")
    check_choice(where, "neuron_params['dynamics']", dynamics, ("slayer", "float"))
    made = FloatCubaNeuron if dynamics == "float" else slayer_neuron.Neuron
    check_neuron_params(where, neuron_params, made, ours=("surrogate", "gradient", "dynamics"))
    params = {name: value for name, value in neuron_params.items() if name != "dynamics"}
    return FloatCubaNeuron(**params) if dynamics == "float" else CubaNeuron(**params)


class Neurons(torch.nn.Module):
    r"""CUBA neurons without synapses of their own, driven by a `Current`.

    .. math:: s = \mathrm{CUBA}\Big(\sum_k W_k s_k\Big)

    Deployed, this is a population with one synapse for each term of the current. Populations that share a term share
    its integers too, hence their scale: they must have the same threshold.

    The neuron is SLAYER's (Shrestha and Orchard, NeurIPS 2018); with `current_decay` 1 and `voltage_decay` .5 that of
    the Spiking Token Mixer (Deng, Wu, Du, Gu, NeurIPS 2024).

    Args:
        neuron_params: SLAYER's dictionary; a norm belongs to each synapse, not here.

    Shape:
        A `Current` of (batch, channel, ..., time) -> spikes of that shape.

    A synapse's norm that was given no threshold takes that of the first neurons that its current enters.

    Raises:
        InputError: `neuron_params` has a norm or lacks a number, or what enters is no `Current`.

    Example:
        >>> from pumice.nn import ConvSynapse
        >>> lif = Neurons({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5})
        >>> lif(Current.of(ConvSynapse(2, 3, 1), torch.ones(1, 2, 4, 4, 5))).shape
        torch.Size([1, 3, 4, 4, 5])
    """

    def __init__(self, neuron_params: dict[str, Any]) -> None:
        super().__init__()
        self.neuron: Any = make_neuron("Neurons", neuron_params)
        self.delay = None

    def forward(self, current: Current) -> torch.Tensor:
        """Spikes 0 or 1."""
        check_current("Neurons", current)
        for term in current.terms:
            norm = term.synapse.norm
            if norm is not None and norm.threshold is None:
                norm.threshold = float(self.neuron.threshold)
        spikes: torch.Tensor = self.neuron(current.value)
        return spikes


class Activation(torch.nn.Module):
    r"""The place of `Neurons` in an artificial network.

    .. math:: y = f\Big(\sum_k W_k x_k\Big)

    Of surrogate modules: Deng, Lin, Li, Gu: Surrogate Module Learning, ICML 2023.

    Args:
        function: f, elementwise, such as `torch.nn.GELU()`.

    Shape:
        A `Current` of (batch, channel, ..., time) -> activations of that shape.

    Raises:
        InputError: What enters is no `Current`.

    Example:
        >>> Activation(torch.nn.ReLU())(Current.holding(torch.tensor([[-1.0, 2.0]]))).tolist()
        [[0.0, 2.0]]
    """

    def __init__(self, function: torch.nn.Module) -> None:
        super().__init__()
        self.function = function

    def forward(self, current: Current) -> torch.Tensor:
        """The activations, shaped like the current."""
        check_current("Activation", current)
        activations: torch.Tensor = self.function(current.value)
        return activations
