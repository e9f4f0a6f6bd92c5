"""SpikeMax: the likelihood of the right class, where spike rates are read as probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

from pumice.errors import InputError
from pumice.nn import padding
from pumice.train.losses.base import WeightedLoss


class SpikeMaxLoss(WeightedLoss):
    r"""Negative log likelihood of the right class, once per sample or at every step.

    With the rate :math:`r_{bk}(t)` over the last W steps (over the whole sample without a window),

    .. math::
        L = -\frac{1}{B T} \sum_{b, t} \log p_{b y_b}(t), \qquad
        p_{bk} = \frac{r_{bk} + \epsilon}{\sum_j (r_{bj} + \epsilon)} \text{ ("probability")}
        \quad \text{or} \quad \mathrm{softmax}_k(r_{bk}) \text{ ("softmax")}

    Shrestha, Zhu and Sun, "SpikeMax: spike-based loss methods for classification", IJCNN 2022. lava-dl's loss of
    that name has no epsilon in the numerator and is infinite where the right class is silent.

    Args:
        window: W, steps; None for the whole sample.
        mode: "probability" or "softmax".
        epsilon: Rate that is added to each class, > 0.
        class_weights: How much each class counts; all alike if not given.

    Raises:
        InputError: A value does not fit.

    Example:
        >>> spikes = torch.tensor([[[1.0, 1.0], [1.0, 1.0]]])  # a tie between two classes
        >>> round(SpikeMaxLoss()(spikes, torch.tensor([0])).item(), 4)
        0.6931
    """

    def __init__(
        self,
        window: int | None = None,
        mode: str = "probability",
        epsilon: float = 1e-3,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(class_weights)
        if mode not in {"probability", "softmax"}:
            raise InputError(f'mode must be "probability" or "softmax", got {mode!r}')
        if not 0 < epsilon < math.inf or (window is not None and window < 1):
            raise InputError(f"epsilon must be > 0, and finite, and window >= 1, got {epsilon} and {window}")
        self.window = window
        self.mode = mode
        self.epsilon = epsilon

    @property
    def needs_spikes(self) -> bool:
        """For shares of them."""
        return self.mode == "probability"

    def forward(
        self, spikes: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The loss of a batch: spikes (batch, class, time), labels (batch,), own steps of each sample (batch,)."""
        if self.window is None:
            rates = padding.mean_over_steps(spikes, lengths)[..., None]
        else:  # the mean over the steps t - W + 1 .. t, with silence before the sample
            rates = functional.avg_pool1d(functional.pad(spikes, (self.window - 1, 0)), self.window, stride=1)
        if self.mode == "softmax":
            log_p = functional.log_softmax(rates, 1)
        else:
            rates = rates + self.epsilon
            log_p = torch.log(rates) - torch.log(rates.sum(1, keepdim=True))
        if self.window is not None and lengths is not None:
            of_steps = functional.nll_loss(log_p, labels[:, None].expand(-1, rates.shape[-1]), reduction="none")
            return self.mean(padding.mean_over_steps(of_steps, lengths), spikes, labels)
        return functional.nll_loss(
            log_p, labels[:, None].expand(-1, rates.shape[-1]), weight=self.weights_for(spikes)
        )
