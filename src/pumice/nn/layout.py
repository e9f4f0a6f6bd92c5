"""Time-major memory behind SLAYER's shapes: nobody sees it, every product and every time loop runs along it.

A tensor of shape (batch, channel, ..., time) may lie in memory as (time, batch, ..., channel). Then a step is one
contiguous vector, a dense layer is one matrix product, and a convolution finds its channels last. torch's strides
carry the order from layer to layer, so only the network's input is ever copied.
"""

from __future__ import annotations

import torch


def time_major(x: torch.Tensor) -> torch.Tensor:
    """(batch, channel, ..., time) as a contiguous (time, batch, ..., channel); no copy if it already lies so.

    Example:
        >>> time_major(torch.zeros(2, 3, 4, 5, 6)).shape
        torch.Size([6, 2, 4, 5, 3])
    """
    return x.movedim(-1, 0).movedim(2, -1).contiguous()


def slayer_order(y: torch.Tensor) -> torch.Tensor:
    """(time, batch, ..., channel) as a view (batch, channel, ..., time): the inverse of `time_major`.

    Example:
        >>> x = torch.randn(2, 3, 4, 5, 6)
        >>> torch.equal(slayer_order(time_major(x)), x)
        True
    """
    return y.movedim(-1, 2).movedim(0, -1)


def neuron_vector(state: torch.Tensor) -> torch.Tensor:
    """(batch, channel, ...) as the flat vector that one step of `time_major` holds.

    Example:
        >>> neuron_vector(torch.tensor([[[0, 1], [2, 3]]])).tolist()
        [0, 2, 1, 3]
    """
    return state.movedim(1, -1).reshape(-1)
