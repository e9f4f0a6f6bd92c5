"""Values of channels, for a block of neurons."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from pumice.jit import njit

Array = npt.NDArray[Any]


@njit(nogil=True, cache=True)
def spread(per_channel: Array, first: int, per_neuron: Array) -> None:
    """Repeat the channels' values for the neurons from `first` on; the channel runs fastest among the neurons."""
    if len(per_channel) == 1:
        per_neuron[:] = per_channel[0]
        return
    channel = first % len(per_channel)
    for i in range(len(per_neuron)):
        per_neuron[i] = per_channel[channel]
        channel += 1
        if channel == len(per_channel):
            channel = 0
