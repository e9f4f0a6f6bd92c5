"""Normalisation without mean and shift: what is folded has a gain and no bias."""

from __future__ import annotations

from typing import Any

import torch

from pumice.errors import InputError
from pumice.nn.deviation import deviation
from pumice.nn.norms.across_processes import channel_size, channel_sum, is_shared
from pumice.nn.norms.tdbn import TDBN
from pumice.nn.precision import at_least_float32


class BiasFreeNorm(TDBN):
    r"""`TDBN` that neither subtracts a mean nor adds a shift.

    .. math:: y_k = \lambda_k \, \alpha V_{th} \, \frac{x_k}{\sqrt{\overline{x_k^2} + \epsilon}}

    A neuron with a bias acts without input, in every step, so that a network with biases needs a clock. Deng et al.
    (Spiking Token Mixer, NeurIPS 2024) compare event-driven networks with and without.

    Args: those of `TDBN`, without `unbiased`: there is no mean whose estimate would take away one degree of freedom.

    Shape:
        (batch, channel, ..., time) -> the same.

    Raises:
        InputError: As `TDBN`, or `unbiased` is given.

    Example:
        >>> norm = BiasFreeNorm(2, threshold=1.0)
        >>> norm(torch.full((4, 2, 3), 5.0)).round(decimals=3).unique().tolist(), norm.offset().tolist()
        ([1.0], [0.0, 0.0])
    """

    folds = True

    def __init__(self, num_features: int | None = None, **options: Any) -> None:
        if "unbiased" in options:
            raise InputError("BiasFreeNorm: it has no mean, so n - 1 means nothing to it; leave out unbiased")
        super().__init__(num_features, **options)
        shift = self.shift.data
        del self.shift
        self.register_buffer("shift", shift)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize by the batch's mean square in training, by the running estimate otherwise."""
        self._check_channels(x)
        x = at_least_float32(x)
        own, shared = self.own_steps_of(x), self.synchronized and is_shared()
        if not shared and own is not None and self._is_one_value(own, x):
            gain = self.gain()
        elif self.training and (shared or own is not None):
            square = channel_sum(x.square(), own, shared=shared) / channel_size(x, own, shared=shared)
            self.remember(None, square)
            gain = self.scale * (self.alpha * self._threshold()) / deviation(square + self.eps)
        elif self.training:
            square = x.square().mean([d for d in range(x.ndim) if d != 1])
            if not self._is_single(x):
                self.remember(None, square)
            gain = self.scale * (self.alpha * self._threshold()) / deviation(square + self.eps)
        else:
            gain = self.gain()
        return x * gain.view(1, -1, *[1] * (x.ndim - 2))
