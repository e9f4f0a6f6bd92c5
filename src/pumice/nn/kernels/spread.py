"""Values of channels, for a block of neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.jit import njit

Array = npt.NDArray[Any]
BLOCK = 512
"""Neurons that go through all their steps together. What a loop keeps of a block lies in rows of one array: of many
arrays LLVM would have to check that none overlaps another, and soon gives up to vectorise."""


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


@njit(nogil=True, cache=True)
def row_starts(x: Array) -> Array:
    """Where the rows of (time, neuron) begin in flat memory, for a loop that goes through them backward.

    LLVM moves the check that arrays do not overlap out of a loop over rows, as one that fails where rows go back; of
    places that it does not see through it checks each row.
    """
    starts = np.empty(len(x), np.uintp)
    for t in range(len(x)):
        starts[t] = t * x.shape[1]
    return starts
