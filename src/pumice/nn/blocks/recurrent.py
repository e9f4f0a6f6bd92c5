"""Neurons that receive their own spikes, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def recur(z: torch.Tensor, neuron: Any, back: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    r"""Spikes of neurons with recurrent synapses, with the gradient of lava-dl's `custom_recurrent`.

    .. math:: s[t] = f(z[t] + R \, s[t-1])

    The neurons keep their state from step to step; no gradient passes through it, only through R.

    Args:
        z: Current from outside, (batch, channel, ..., time).
        neuron: A `CubaNeuron` whose state is persistent, at rest.
        back: R, as a linear map of such spikes.

    Example:
        >>> from pumice.nn import CubaNeuron
        >>> neuron = CubaNeuron(threshold=1.0, current_decay=1.0, voltage_decay=1.0, persistent_state=True)
        >>> recur(torch.tensor([[[2.0, 0.0, 0.0]]]), neuron, lambda s: 2 * s).tolist()
        [[[1.0, 1.0, 1.0]]]
    """
    spike = torch.zeros_like(z[..., :1])
    spikes = []
    for now in z.split(1, -1):
        spike = neuron(now + back(spike))
        spikes.append(spike)
    return torch.cat(spikes, -1)
