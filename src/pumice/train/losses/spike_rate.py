"""Spike rate: squared distance from a target rate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from pumice.errors import InputError
from pumice.nn import padding
from pumice.train.losses.base import WeightedLoss


class SpikeRateLoss(WeightedLoss):
    r"""Squared distance from a target rate, high for the right class and low for the others.

    .. math:: L = \frac{1}{B} \sum_b \sum_k \left( \frac{1}{T} \sum_t s_{bkt} - \hat r_{bk} \right)^2

    lava-dl's ``slayer.loss.SpikeRate`` with ``reduction="sum"``, divided by the batch size, so that the
    learning rate does not depend on it. Shrestha and Orchard, NeurIPS 2018, use the count in place of the rate.

    Args:
        true_rate: Target of the right class, spikes per step, 0 to 1.
        false_rate: Target of the others.
        class_weights: How much the samples of each class count; all alike if not given.

    Raises:
        InputError: A value does not fit.

    Example:
        >>> spikes = torch.tensor([[[1.0, 1.0], [0.0, 1.0]]])  # one sample, two classes, two steps
        >>> SpikeRateLoss(true_rate=1.0, false_rate=0.0)(spikes, torch.tensor([0])).item()
        0.25
    """

    def __init__(
        self,
        true_rate: float = 0.8,
        false_rate: float = 0.05,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(class_weights)
        if not 0 <= false_rate < true_rate <= 1:
            raise InputError(f"rates must satisfy 0 <= false_rate < true_rate <= 1, got {false_rate} and {true_rate}")
        self.true_rate = true_rate
        self.false_rate = false_rate

    def forward(
        self, spikes: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The loss of a batch.

        Args:
            spikes: Shape (batch, class, time).
            labels: Class indices, shape (batch,).
            lengths: Steps of each sample that count, shape (batch,); all if not given.
        """
        right = functional.one_hot(labels, spikes.shape[1])
        target = self.false_rate + (self.true_rate - self.false_rate) * right
        rates = padding.mean_over_steps(spikes, lengths)
        return self.mean((rates - target).square().sum(1), spikes, labels)
