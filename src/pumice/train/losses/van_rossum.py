"""Distance between spike trains: when a neuron fires, not only how often."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from pumice.errors import InputError
from pumice.nn import padding
from pumice.train.losses.base import AbstractLoss
from pumice.train.losses.psp import alpha_kernel, convolve


class VanRossumLoss(AbstractLoss):
    r"""Squared distance between the filtered output and the filtered desired spike train.

    .. math:: E = \frac{1}{2 B} \sum_{b, k, t} \bigl( \varepsilon * (s_{bk} - \hat s_{bk}) \bigr)(t)^2

    with SLAYER's kernel :math:`\varepsilon` (Shrestha and Orchard, NeurIPS 2018), or a falling exponential
    :math:`\exp(-t / \tau)` (van Rossum, Neural Computation 2001).

    Args:
        times: Steps at which the neuron of the right class is to fire; the others stay silent. Not needed if
            desired spike trains are passed in place of labels.
        tau: Time constant of the kernel, steps.
        kernel: "alpha" or "exponential".

    Raises:
        InputError: A value does not fit, here or, for the times, in the call.

    Example:
        >>> spikes = torch.tensor([[[0.0, 1.0, 0.0]]])
        >>> loss = VanRossumLoss(times=[1], tau=1.0)
        >>> loss(spikes, torch.tensor([0])).item(), loss(0 * spikes, torch.tensor([0])).item()
        (0.0, 0.5)
    """

    def __init__(self, times: Sequence[int] = (), tau: float = 5.0, kernel: str = "alpha") -> None:
        super().__init__()
        if not 0 < tau < math.inf or any(time < 0 for time in times):
            raise InputError(f"tau must be > 0, and finite, and times >= 0, got {tau} and {list(times)}")
        if kernel not in {"alpha", "exponential"}:
            raise InputError(f'kernel must be "alpha" or "exponential", got {kernel!r}')
        self.times = list(times)
        self.tau = tau
        self.kernel = kernel

    def forward(
        self, spikes: torch.Tensor, target: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The loss of a batch.

        Args:
            spikes: Shape (batch, class, time).
            target: Class indices, shape (batch,), or desired spike trains, shape (batch, class, time).
            lengths: Steps of each sample that count, shape (batch,); all if not given.
        """
        is_train = target.shape == spikes.shape
        desired = target.to(spikes.dtype) if is_train else self.desired(spikes, target, lengths)
        steps = spikes.shape[-1]
        if self.kernel == "alpha":
            kernel = alpha_kernel(self.tau, steps, spikes)
        else:
            kernel = torch.exp(-torch.arange(steps, dtype=spikes.dtype, device=spikes.device) / self.tau)
        distance = padding.without_padding(convolve(spikes - desired, kernel), lengths)
        return distance.square().sum() / (2 * len(spikes))

    def desired(
        self, spikes: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The desired spike trains of labels, of the shape of `spikes`."""
        shortest = spikes.shape[-1] if lengths is None else int(lengths.min())
        if not self.times or max(self.times) >= shortest:
            raise InputError(f"loss van_rossum: loss_args.times must name steps below {shortest}, got {self.times}")
        desired = torch.zeros_like(spikes)
        rows = torch.arange(len(labels), device=spikes.device)[:, None]
        desired[rows, labels[:, None], torch.tensor(self.times, device=spikes.device)] = 1.0
        return desired
