"""Each neuron to the one at its own place."""

from __future__ import annotations

from collections.abc import Callable

import torch

from pumice.nn.checks import check_sizes
from pumice.nn.norms.tdbn import TDBN
from pumice.nn.synapses.base import AbstractSynapse


class IdentitySynapse(AbstractSynapse):
    r"""A shortcut: each neuron to the one at its own place. Its weight is 1, which only a norm changes.

    .. math:: c_k(t) = \mathrm{norm}_k(s_k(t))

    Zheng, Wu, Deng, Hu, Li: Going Deeper With Directly-Trained Larger Spiking Neural Networks, AAAI 2021.

    Args:
        channels: Channels.
        norm: A `TDBN` (of the paper's residual block: alpha 1/sqrt(2)), or a function that makes one, or None.

    Shape:
        (batch, channel, ..., time) -> the same.

    Raises:
        InputError: There is no channel, `norm` is no norm, or the input has another number of channels.

    Example:
        >>> IdentitySynapse(3)(torch.ones(1, 3, 5)).shape
        torch.Size([1, 3, 5])
    """

    def __init__(self, channels: int, norm: TDBN | Callable[[], TDBN] | None = None) -> None:
        check_sizes("IdentitySynapse", channels=channels)
        super().__init__(channels, norm, in_channels=channels)
        self.register_buffer("weight", torch.ones(channels))

    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A product per channel."""
        if weight is self.weight:  # ones
            return x
        return x * weight.reshape(1, -1, *[1] * (x.ndim - 2))
