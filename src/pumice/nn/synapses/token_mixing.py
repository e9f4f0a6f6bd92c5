"""One matrix over the tokens per head."""

from __future__ import annotations

import torch

from pumice.errors import InputError
from pumice.nn.checks import check_divides, check_sizes
from pumice.nn.synapses.base import AbstractSynapse


class TokenMixingSynapse(AbstractSynapse):
    r"""One matrix over the tokens per head, shared by the head's channels.

    .. math:: c_{km}(t) = \sum_n M_{h(k), mn} \, s_{kn}(t), \qquad h(k) = \lfloor k H / D \rfloor

    with D channels k, H heads and tokens m, n.

    Deng, Wu, Du, Gu: Spiking Token Mixer, NeurIPS 2024. The tokens of an image are its pixels, row by row. There is
    no norm: one that differs between the channels of a head could not be folded into their common matrix.

    Args:
        channels: Channels, a multiple of `heads`.
        tokens: height * width.
        heads: Number of matrices.

    Shape:
        (batch, channel, height, width, time) -> the same.

    Raises:
        InputError: The heads do not divide the channels, or the image has other channels or another number of tokens.

    Example:
        >>> TokenMixingSynapse(4, tokens=6, heads=2)(torch.ones(1, 4, 2, 3, 5)).shape
        torch.Size([1, 4, 2, 3, 5])
    """

    takes_images = True

    def __init__(self, channels: int, *, tokens: int, heads: int = 1) -> None:
        check_sizes("TokenMixingSynapse", channels=channels, tokens=tokens, heads=heads)
        check_divides("TokenMixingSynapse", "heads", heads, channels)
        super().__init__(channels, None, in_channels=channels)
        weight = torch.empty(heads, tokens, tokens)
        self.weight = torch.nn.Parameter(torch.nn.init.normal_(weight, std=(2 / tokens) ** 0.5))

    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A matrix product over the tokens, head by head."""
        batch, channels, height, width, time = x.shape
        heads, tokens = weight.shape[:2]
        if height * width != tokens:
            raise InputError(
                f"TokenMixingSynapse mixes {tokens} tokens, got an image of {height} x {width}; "
                f"make it with tokens={height * width}"
            )
        grouped = x.reshape(batch, heads, channels // heads, tokens, time)
        return torch.einsum("hmn,bhcnt->bhcmt", weight, grouped).reshape(x.shape)

    def rows(self, weight: torch.Tensor) -> torch.Tensor:
        """The weights of every token of every head, which all its channels share: shape (heads * tokens, tokens)."""
        return weight.reshape(-1, weight.shape[-1])
