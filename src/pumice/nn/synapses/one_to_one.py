"""Each neuron to the one at its own place, with a weight that is trained."""

from __future__ import annotations

from collections.abc import Callable

import torch

from pumice.nn.checks import check_sizes
from pumice.nn.norms.tdbn import TDBN
from pumice.nn.synapses.base import AbstractSynapse


class OneToOneSynapse(AbstractSynapse):
    r"""Each neuron to the one at its own place, with one weight per channel, 1 at first.

    .. math:: c_k(t) = \mathrm{norm}_k(w_k \, s_k(t))

    As a `Merge`'s recurrent synapse it is the self-connection of snnTorch's `RLeaky(all_to_all=False)` (Eshraghian et
    al., Proceedings of the IEEE 2023); `IdentitySynapse` has no weight.

    Args:
        channels: Channels.
        norm: A `TDBN`, or a function that makes one, or None.

    Shape:
        (batch, channel, ..., time) -> the same.

    Raises:
        InputError: There is no channel, `norm` is no norm, or the input has another number of channels.

    Example:
        >>> OneToOneSynapse(3)(torch.ones(1, 3, 5)).shape
        torch.Size([1, 3, 5])
    """

    def __init__(self, channels: int, norm: TDBN | Callable[[], TDBN] | None = None) -> None:
        check_sizes("OneToOneSynapse", channels=channels)
        super().__init__(channels, norm, in_channels=channels)
        self.weight = torch.nn.Parameter(torch.ones(channels))

    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A product per channel."""
        return x * weight.reshape(1, -1, *[1] * (x.ndim - 2))
