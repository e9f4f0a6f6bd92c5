"""HM2-BP's loss for classification: desired spike counts, and no error within a margin of them."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from pumice.errors import InputError
from pumice.nn.padding import sum_over_steps
from pumice.train.losses.base import AbstractLoss, check_counts


class CountMarginLoss(AbstractLoss):
    r"""Squared distance of spike counts from desired ones, where it is more than a margin.

    .. math::
        E = \frac{1}{2} \sum_k m_k (o_k - y_k)^2, \qquad m_k = [\,|o_k - y_k| > \mathrm{margin}\,]

    averaged over the batch, with the spike count o of each output neuron and the desired count y.

    Jin, Zhang, Li: Hybrid macro/micro level backpropagation, NeurIPS 2018 (there 35, 5 and a margin of 5, T = 400).

    Args:
        true_count: Desired count of the right class, spikes in a sample.
        false_count: Desired count of the others.
        margin: Spikes.

    Raises:
        InputError: The counts or the margin do not fit, here or, for more spikes than steps, in the call.

    Example:
        >>> spikes = torch.tensor([[[1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]]])
        >>> CountMarginLoss(true_count=4, false_count=0, margin=0)(spikes, torch.tensor([1])).item()
        9.0
        >>> CountMarginLoss(true_count=4, false_count=0, margin=3)(spikes, torch.tensor([0])).item()
        0.0
    """

    def __init__(self, true_count: float = 35.0, false_count: float = 5.0, margin: float = 5.0) -> None:
        super().__init__()
        check_counts(true_count, false_count)
        if not 0 <= margin < math.inf:
            raise InputError(f"margin must be >= 0 spikes, and finite, got {margin}")
        self.true_count, self.false_count, self.margin = true_count, false_count, margin

    def forward(
        self, spikes: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The loss of a batch.

        Args:
            spikes: Shape (batch, class, time).
            labels: Class indices, shape (batch,).
            lengths: Steps of each sample that count, shape (batch,); all if not given.
        """
        steps = spikes.shape[-1]
        if self.true_count > steps:
            raise InputError(
                f"loss count_margin: true_count={self.true_count} spikes do not fit into the {steps} steps of a "
                "sample, of one spike each; set training.loss_args.true_count to fewer, or data.steps to more"
            )
        counts = sum_over_steps(spikes, lengths)
        right = functional.one_hot(labels, spikes.shape[1]).to(counts.dtype)
        distance = counts - (self.false_count + (self.true_count - self.false_count) * right)
        return torch.where(distance.abs() <= self.margin, 0.0, distance).square().sum() / (2 * len(spikes))
