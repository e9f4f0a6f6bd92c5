"""Which changes of values reach a threshold, over all steps of a batch."""

from __future__ import annotations

import numpy as np

from pumice.jit import njit
from pumice.nn.kernels.spread import BLOCK, Array


@njit(nogil=True, cache=True)
def changes(start: int, stop: int, values: Array, threshold: float, sent: Array) -> None:
    """Send the change of each neuron's value since what it last told, where that reaches the threshold.

    Args:
        start: First neuron.
        stop: Behind the last neuron.
        values: (time, neuron), float32 or float64.
        threshold: Of the same type.
        sent: Receives the changes, 0 where none is sent.
    """
    told = np.empty(BLOCK, values.dtype)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        told[:size] = 0
        for t in range(len(values)):
            now, out = values[t, first : first + size], sent[t, first : first + size]
            for i in range(size):
                change = now[i] - told[i]
                change = change if not abs(change) < threshold else change * 0  # NaN is sent
                told[i] += change
                out[i] = change
