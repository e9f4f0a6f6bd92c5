"""Squared distance from numbers that are to be answered."""

from __future__ import annotations

import torch

from pumice.train.losses.base import AbstractLoss
from pumice.train.score import answered, squared_errors_of


class MeanSquaredErrorLoss(AbstractLoss):
    r"""Mean squared distance of the answer from its target.

    .. math:: L = \frac{1}{B n} \sum_{b, k} \left( \frac{1}{T} \sum_t y_{bkt} - \hat y_{bk} \right)^2
        \quad \text{or} \quad \frac{1}{B n T} \sum_{b, k, t} (y_{bkt} - \hat y_{bkt})^2

    for targets of a sample, or of each of its steps. y are the numbers of a read-out (`nn.LeakyReadout`,
    `nn.LinearReadout`), or spikes, whose mean is a rate, 0 to 1.

    Example:
        >>> answer = torch.tensor([[[1.0, 0.0]]])
        >>> loss = MeanSquaredErrorLoss()
        >>> loss(answer, torch.tensor([[1.0]])).item(), loss(answer, torch.tensor([[[1.0, 1.0]]])).item()
        (0.25, 0.5)
    """

    def forward(
        self, answer: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The loss of a batch.

        Args:
            answer: Shape (batch, n, time).
            labels: Targets, shape (batch, n) or (batch, n, time).
            lengths: Steps of each sample that count, shape (batch,); all if not given. The means are over these, then
                over the samples.
        """
        if lengths is not None:
            return squared_errors_of(answer, labels, lengths).mean()
        return (answered(answer, labels) - labels).square().mean()
