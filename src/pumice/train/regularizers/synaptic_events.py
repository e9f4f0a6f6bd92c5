"""Keep the chip's work small: every spike is worth as much as the synapses it reaches."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from pumice.errors import InputError


class SynapticEvents:
    r"""Penalises synaptic events, the operations that cost a neuromorphic chip time and energy.

    .. math:: R = w \, \frac{\sum_l \sum_n f_{ln} \sum_t s_{ln}(t)}{T \sum_l \sum_n f_{ln}}

    where :math:`f_{ln}` is the number of synapses that a spike of neuron n of layer l reaches: R / w is the share of
    the events that would happen if every neuron fired in every step. Spikes that enter the network are not counted,
    they are not the network's choice.

    Args:
        fan_out: Block -> synapses behind each neuron, see `pumice.train.regularizers.fan_out`.
        weight: w, >= 0.

    Raises:
        InputError: The weight is negative, or not finite.

    Example:
        >>> cost = SynapticEvents({"a": torch.tensor([9.0]), "b": torch.tensor([1.0])}, weight=1.0)
        >>> round(cost({"a": torch.ones(1, 1, 4), "b": torch.zeros(1, 1, 4)}).item(), 6)
        0.9
    """

    def __init__(self, fan_out: Mapping[str, torch.Tensor], weight: float = 1.0) -> None:
        if not 0 <= weight < math.inf:
            raise InputError(f"synaptic_events: weight must be >= 0, and finite, got {weight}")
        self.weight = weight
        self._fan_out = {name: counts for name, counts in fan_out.items() if name != "input"}
        self._most = {name: float(counts.sum()) for name, counts in self._fan_out.items()}

    def __call__(self, spikes: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """R of one forward pass: block -> spikes (batch, ..., time)."""
        if not spikes:
            raise InputError("synaptic_events: the network has no block that spikes; leave it out")
        events = []
        for name, layer in spikes.items():
            cost = self._fan_out[name] = self._fan_out[name].to(layer.device)
            events.append((layer.mean((0, -1), dtype=torch.float32) * cost).sum())
        return self.weight * torch.stack(events).sum() / max(sum(self._most[name] for name in spikes), 1.0)
