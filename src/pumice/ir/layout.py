"""PyTorch's tensor order and Lava's: SLAYER puts time last and has (C, H, W); Lava has one (x, y, channel) a step."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


def torch_to_lava(x: Array) -> Array:
    """(batch, channel, height, width, time) -> (batch, time, x, y, channel), or (batch, n, time) -> (batch, time, n).

    Example:
        >>> torch_to_lava(np.zeros((5, 2, 3, 4, 9))).shape  # height 3 is y, width 4 is x
        (5, 9, 4, 3, 2)
    """
    return x.transpose(0, 2, 1) if x.ndim == 3 else x.transpose(0, 4, 3, 2, 1)


def lava_to_torch(x: Array) -> Array:
    """The inverse of `torch_to_lava`."""
    return x.transpose(0, 2, 1) if x.ndim == 3 else x.transpose(0, 4, 3, 2, 1)


def flatten_whc(x: Array) -> Array:
    """One step's values in the order of PyTorch's flatten: channel slowest, then y, then x.

    Example:
        >>> x = np.arange(4).reshape(2, 1, 2)  # (x, y, channel)
        >>> flatten_whc(x).tolist()
        [0, 2, 1, 3]
    """
    return x.transpose(2, 1, 0).reshape(-1) if x.ndim == 3 else x.reshape(-1)


def unflatten_whc(x: Array, shape: tuple[int, ...]) -> Array:
    """The inverse of `flatten_whc`, to a population's shape.

    Example:
        >>> unflatten_whc(np.arange(4), (2, 1, 2))[1, 0, 0].item()
        1
    """
    return x.reshape(shape[::-1]).transpose(2, 1, 0) if len(shape) == 3 else x.reshape(shape)
