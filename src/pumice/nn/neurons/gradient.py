"""Through what a CUBA neuron's gradient goes: an object of the neuron, chosen by name or given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

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

    @abstractmethod
    def spikes(self, neuron: CubaNeuron, input: torch.Tensor) -> torch.Tensor:
        """Spikes with this gradient, for a current, or for the integer synaptic sums of a quantized neuron."""


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
