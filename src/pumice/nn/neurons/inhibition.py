"""Spikes of neurons that inhibit each other a step later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from pumice.nn.neurons.cuba import CubaNeuron


def from_neighbors(spikes: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """The current that each neuron gets from the others' spikes of the step before.

    Args:
        spikes: (batch, neuron, ..., time).
        matrix: (neuron, neuron), target first.

    Example:
        >>> spikes = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]])
        >>> from_neighbors(spikes, torch.tensor([[0.0, -2.0], [-2.0, 0.0]])).tolist()
        [[[0.0, 0.0, -2.0], [0.0, -2.0, 0.0]]]
    """
    before = functional.pad(spikes, (1, 0))[..., :-1]
    return torch.einsum("ij,bj...->bi...", matrix, before)


def inhibited_spikes(neuron: CubaNeuron, z: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    r"""Spikes of neurons with recurrent synapses, without gradient.

    .. math:: s[t] = f(z[t] + R \, s[t-1])

    They are the only train with this property, as s[t] depends on earlier steps alone, and putting a guess into the
    right side makes one more step right: so the neurons' loops over all steps at once are called until nothing
    changes, a few times where few spikes are inhibited, and never more often than there are steps.

    Args:
        neuron: At rest, without a norm that looks at several steps.
        z: Current from outside, (batch, neuron, ..., time).
        matrix: R, (neuron, neuron).

    Example:
        >>> from pumice.nn import CubaNeuron
        >>> neuron = CubaNeuron(threshold=1.0, current_decay=1.0, voltage_decay=1.0)
        >>> inhibited_spikes(neuron, torch.full((1, 2, 3), 1.5), torch.tensor([[0.0, -1.0], [0.0, 0.0]])).tolist()
        [[[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]]
    """
    with torch.no_grad():
        spikes = torch.zeros_like(z)
        for _ in range(z.shape[-1]):
            before, spikes = spikes, neuron.spikes_by_slayer(z + from_neighbors(spikes, matrix))
            if not torch.compiler.is_compiling() and torch.equal(before, spikes):  # a graph has no choice
                break
    return spikes
