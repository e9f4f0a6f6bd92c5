"""Through what a CUBA neuron's gradient goes: an object of the neuron, chosen by name or given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from pumice.errors import InputError

if TYPE_CHECKING:
    from pumice.nn.neurons.cuba import CubaNeuron


class Gradient(ABC):
    """How a neuron's spikes are made where a gradient is wanted; which spikes they are does not depend on it.

    A gradient of one's own is a subclass, given to a block as ``{"gradient": MyGradient(), ...}`` in its
    `neuron_params`.

    Example:
        >>> class Straight(Gradient):
        ...     name = "straight"
        ...
        ...     def spikes(self, neuron, input):
        ...         with torch.no_grad():
        ...             spikes = neuron.spikes_by_slayer(input)
        ...         return spikes + input - input.detach()
        >>> from pumice.nn import CubaNeuron
        >>> neuron = CubaNeuron(threshold=1.0, current_decay=1.0, voltage_decay=1.0, gradient=Straight())
        >>> x = torch.tensor([[[0.5, 1.5]]], requires_grad=True)
        >>> neuron(x).sum().backward()
        >>> x.grad.tolist()
        [[[1.0, 1.0]]]
    """

    name: ClassVar[str]

    def check(self, neuron: CubaNeuron) -> None:  # noqa: B027 -- most are defined for all
        """Refuse neurons for which it is not defined.

        Raises:
            InputError: It is not.
        """

    def applies(self, neuron: CubaNeuron, input: torch.Tensor) -> bool:
        """Whether the spikes of this call are to be made by `spikes`."""
        return torch.is_grad_enabled()

    def of_output(self) -> Gradient:
        """What the neurons have whose spikes are the network's answer, where others have this one."""
        return self

    @abstractmethod
    def spikes(self, neuron: CubaNeuron, input: torch.Tensor) -> torch.Tensor:
        """Spikes with this gradient, for a current, or for the integer synaptic sums of a quantized neuron."""


class LayerRule(Gradient):
    """A learning rule that needs more of a layer than its neurons: the synapse in front of them, too.

    `pumice.nn.Dense`, `Conv` and `Pool` call it with both; neurons that several synapses feed cannot have it.
    """

    def applies(self, neuron: CubaNeuron, input: torch.Tensor) -> bool:
        """Where a gradient is wanted."""
        return torch.is_grad_enabled()

    def spikes(self, neuron: CubaNeuron, input: torch.Tensor) -> torch.Tensor:
        """Refused.

        Raises:
            InputError: The neurons have no synapse that the rule could reach.
        """
        raise InputError(
            f'the gradient "{self.name}" is a rule of a synapse and its neurons, in pumice.nn.Dense, Conv and Pool; '
            'these neurons are fed in another way: use "slayer" or "stbp" there'
        )

    @abstractmethod
    def layer_spikes(self, synapse: torch.nn.Module, neuron: CubaNeuron, x: torch.Tensor) -> torch.Tensor:
        """The layer's spikes for spikes (batch, ..., time), before dropout and delay, with this rule's gradient."""

    def inhibited_spikes(
        self, synapse: torch.nn.Module, neuron: CubaNeuron, x: torch.Tensor, matrix: torch.Tensor
    ) -> torch.Tensor:
        """The same of neurons that inhibit each other a step later, with weights (out, out).

        Raises:
            InputError: The rule has no gradient for them.
        """
        raise InputError(
            f'the gradient "{self.name}" is not defined for lateral inhibition; use "slayer", "stbp" or "hm2bp" there'
        )


@dataclass(frozen=True)
class Slayer(Gradient):
    r"""SLAYER's: both leaky integrators' adjoint, the surrogate for the spike, and no trace of the reset.

    Shrestha, Orchard: SLAYER, NeurIPS 2018.
    """

    name: ClassVar[str] = "slayer"

    def applies(self, neuron: CubaNeuron, input: torch.Tensor) -> bool:
        """Never: these are the neuron's own loops."""
        return False

    def spikes(self, neuron: CubaNeuron, input: torch.Tensor) -> torch.Tensor:
        """The neuron's own."""
        return neuron.spikes_by_slayer(input)
