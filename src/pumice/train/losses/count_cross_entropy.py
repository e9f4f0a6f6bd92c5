"""Cross-entropy of spike counts."""

from __future__ import annotations

import torch
from torch.nn import functional

from pumice.errors import InputError


class SpikeCountCrossEntropy(torch.nn.Module):
    r"""Cross-entropy of the softmax of the spike counts.

    .. math:: L = -\frac{1}{B} \sum_b \log \mathrm{softmax}_k \left( \beta \sum_t s_{bkt} \right)_{y_b}

    The counts decide the class, so this trains what is read out (Zheng et al., AAAI 2021, with a sum in place
    of their mean over time).

    Args:
        beta: What one spike is worth, in logits, > 0.

    Example:
        >>> spikes = torch.tensor([[[1.0, 1.0], [1.0, 1.0]]])  # a tie between two classes
        >>> round(SpikeCountCrossEntropy()(spikes, torch.tensor([0])).item(), 4)
        0.6931
    """

    reads = "spikes"

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        if beta <= 0:
            raise InputError(f"beta must be > 0, got {beta}")
        self.beta = beta

    def forward(self, spikes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of a batch; spikes (batch, class, time), labels (batch,)."""
        return functional.cross_entropy(self.beta * spikes.sum(-1), labels)
