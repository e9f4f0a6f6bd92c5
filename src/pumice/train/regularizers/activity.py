"""Keep each layer's firing rate in bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from pumice.errors import InputError


class Activity:
    r"""Penalises layers that fire more (or less) than they should.

    .. math:: R = w \sum_l \bigl( \max(0, r_l - r_{max})^2 + \max(0, r_{min} - r_l)^2 \bigr)

    where :math:`r_l` is layer l's mean number of spikes per neuron and step.

    Args:
        weight: w, >= 0.
        max_rate: Rate above which a layer is penalised, 0 to 1.
        min_rate: Rate below which it is, so that no layer falls silent.

    Raises:
        InputError: A value does not fit.

    Example:
        >>> spikes = {"conv1": torch.tensor([[[1.0, 0.0]]])}  # rate 0.5
        >>> round(Activity(weight=2.0, max_rate=0.1)(spikes).item(), 6)
        0.32
    """

    def __init__(self, weight: float = 1.0, max_rate: float = 0.1, min_rate: float = 0.0) -> None:
        if not 0 <= weight < math.inf or not 0 <= min_rate <= max_rate:
            raise InputError(
                "activity: weight must be >= 0, and finite, and 0 <= min_rate <= max_rate, "
                f"got {weight}, {min_rate}, {max_rate}"
            )
        self.weight, self.max_rate, self.min_rate = weight, max_rate, min_rate

    def __call__(self, spikes: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """R of one forward pass: block -> spikes (batch, ..., time)."""
        if not spikes:
            raise InputError("activity: the network has no block that spikes; leave it out")
        rates = torch.stack([layer.mean(dtype=torch.float32) for layer in spikes.values()])
        excess, lack = torch.relu(rates - self.max_rate), torch.relu(self.min_rate - rates)
        return self.weight * (excess.square() + lack.square()).sum()
