"""Cross-entropy of spike counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

from pumice.errors import InputError
from pumice.nn import padding
from pumice.train.losses.base import WeightedLoss


class SpikeCountCrossEntropyLoss(WeightedLoss):
    r"""Cross-entropy of the softmax of the spike counts.

    .. math:: L = -\frac{1}{B} \sum_b \log \mathrm{softmax}_k \left( \beta \sum_t s_{bkt} \right)_{y_b}

    The counts decide the class, so this trains what is read out (Zheng et al., AAAI 2021, with a sum in place
    of their mean over time).

    Args:
        beta: What one spike is worth, in logits, > 0.
        class_weights: How much each class counts; all alike if not given.
        label_smoothing: Share of the answer that is spread over all classes, >= 0 and < 1.

    Raises:
        InputError: A value does not fit.

    Example:
        >>> spikes = torch.tensor([[[1.0, 1.0], [1.0, 1.0]]])  # a tie between two classes
        >>> round(SpikeCountCrossEntropyLoss()(spikes, torch.tensor([0])).item(), 4)
        0.6931
    """

    def __init__(
        self, beta: float = 1.0, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(class_weights)
        if not 0 < beta < math.inf:
            raise InputError(f"beta must be > 0, and finite, got {beta}")
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label_smoothing must be >= 0 and < 1, got {label_smoothing}")
        self.beta = beta
        self.label_smoothing = label_smoothing

    def forward(
        self, spikes: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The loss of a batch; spikes (batch, class, time), labels (batch,), own steps of each sample (batch,)."""
        counts, weights = self.beta * padding.sum_over_steps(spikes, lengths), self.weights_for(spikes)
        return functional.cross_entropy(counts, labels, weight=weights, label_smoothing=self.label_smoothing)
