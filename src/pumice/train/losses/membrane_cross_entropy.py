"""Cross-entropy of membrane potentials: a gradient also where no neuron fires."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

from pumice.errors import InputError
from pumice.nn import padding
from pumice.train.losses.base import WeightedLoss


class MembraneCrossEntropyLoss(WeightedLoss):
    r"""Cross-entropy of the softmax of the output neurons' free membrane potentials.

    .. math:: L = -\frac{1}{B} \sum_b \log \mathrm{softmax}_k \bigl( \beta \, \mathrm{pool}_t \, v_{bk}(t) / V_{th}
        \bigr)_{y_b}

    v is the potential that the output neurons would have if they never fired (`pumice.nn.probes.membrane`). What is
    read out on the chip stays the spike count, which grows with it.

    Args:
        beta: What one threshold is worth, in logits, > 0.
        pool: Over time: "mean", "max" or "last".
        class_weights: How much each class counts; all alike if not given.

    Raises:
        InputError: A value does not fit.

    Example:
        >>> membrane = torch.tensor([[[0.0, 2.0], [1.0, 1.0]]])  # equal means
        >>> round(MembraneCrossEntropyLoss()(membrane, torch.tensor([0])).item(), 4)
        0.6931
    """

    reads = "membrane"

    def __init__(self, beta: float = 1.0, pool: str = "mean", class_weights: Sequence[float] | None = None) -> None:
        super().__init__(class_weights)
        if not 0 < beta < math.inf:
            raise InputError(f"beta must be > 0, and finite, got {beta}")
        if pool not in {"mean", "max", "last"}:
            raise InputError(f'pool must be "mean", "max" or "last", got {pool!r}')
        self.beta = beta
        self.pool = pool

    def forward(
        self, membrane: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The loss of a batch.

        Args:
            membrane: v / V_th, shape (batch, class, time).
            labels: Class indices, shape (batch,).
            lengths: Steps of each sample that count, shape (batch,); all if not given.
        """
        pooled = self._pooled(membrane, lengths)
        return functional.cross_entropy(self.beta * pooled, labels, weight=self.weights_for(pooled))

    def _pooled(self, membrane: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
        if self.pool == "mean":
            return padding.mean_over_steps(membrane, lengths)
        if lengths is None:
            return membrane.amax(-1) if self.pool == "max" else membrane[..., -1]
        if self.pool == "max":
            own = padding.spread(padding.own_steps(lengths, membrane.shape[-1]), membrane)
            return membrane.masked_fill(~own, -torch.inf).amax(-1)
        return membrane[torch.arange(len(membrane), device=membrane.device), :, lengths - 1]
