"""Linear read-out of spikes, with a bias: of neurons, or of an image's mean."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from pumice.errors import InputError
from pumice.nn.checks import check_sizes
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.synapses.base import AbstractSynapse


class LinearSynapse(AbstractSynapse):
    r"""Fully connected with bias, behind an average over all positions of an image.

    .. math:: c_k = b_k + \frac{1}{N} \sum_{n=1}^{N} \sum_j W_{kj} s_{jn}

    An average is linear, so average and matrix are one synapse on the chip: no neuron in between, nothing lost. The
    layer is rescaled as a whole when it is deployed, like one with a norm, and its bias becomes the neurons'.

    This is the head of a residual network; as in Zheng et al., AAAI 2021, it has no norm.

    Args:
        in_channels: Channels, or neurons, in.
        out_neurons: Number of outputs.
        positions: N, height * width of the image that is averaged; 1 for neurons.

    Shape:
        (batch, in_channels, ..., time) -> (batch, out_neurons, time).

    Raises:
        InputError: A size is below 1, or the input has other channels or another number of positions.

    Example:
        >>> LinearSynapse(3, 2, positions=20)(torch.ones(1, 3, 4, 5, 6)).shape
        torch.Size([1, 2, 6])
    """

    def __init__(self, in_channels: int, out_neurons: int, *, positions: int = 1) -> None:
        check_sizes("LinearSynapse", in_channels=in_channels, out_neurons=out_neurons, positions=positions)
        super().__init__(out_neurons, None, in_channels=in_channels)
        linear = torch.nn.Linear(in_channels, out_neurons)
        self.weight, self.bias = linear.weight, linear.bias
        self.positions = positions

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The current that the synapse adds."""
        if self.is_deployed:
            return super().forward(x)
        self._check(x)
        # SLAYER's grid of weights is for sums; it would be too coarse for an average.
        return self.linear(x, self.weight) / self.positions + self.offset()[:, None]

    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A matrix product with the sum over positions."""
        steps = time_major(x)
        if steps.shape[2:-1].numel() != self.positions:
            size = " x ".join(map(str, steps.shape[2:-1])) or "neurons without positions"
            raise InputError(
                f"LinearSynapse averages {self.positions} positions, got {size}; "
                f"make it with positions={steps.shape[2:-1].numel()}"
            )
        return slayer_order(F.linear(steps.flatten(2, -2).sum(2) if steps.ndim > 3 else steps, weight))

    def gain(self) -> torch.Tensor:
        """What turns the sum into an average."""
        return self.weight.new_full((1,), 1 / self.positions)

    def rows(self, weight: torch.Tensor) -> torch.Tensor:
        """Each weight once for each position."""
        return weight.repeat(1, self.positions)
