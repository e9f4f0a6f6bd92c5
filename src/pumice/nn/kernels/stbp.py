"""The adjoint of a leaky integrate-and-fire neuron, over all steps of a batch: with its reset (STBP), or without.

Arrays are (time, neuron), in blocks as in `cuba`.
"""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

from typing import Any

import numpy as np

from pumice.jit import njit
from pumice.nn.kernels.cuba import flush
from pumice.nn.kernels.spread import BLOCK, Array, row_starts, spread
from pumice.nn.kernels.surrogate import WITHOUT_CHECKS, slope

RESETS = ("ignored", "detached", "followed")
IGNORED, DETACHED, FOLLOWED = range(len(RESETS))
KEPT = np.uintp(BLOCK)


@njit(nogil=True, cache=True, **WITHOUT_CHECKS)
def lif_backward(
    start: int,
    stop: int,
    g_s: Array,
    v: Array,
    keep: Array,
    threshold: np.float32,
    scale: np.float32,
    of: Any,
    reset: int,
    g: Array,
) -> None:
    """The gradient of the current, from the last step to the first.

    g[t] = h[t] (g_s[t] - keep v[t] g[t+1]) + keep (1 - s[t]) g[t+1], of which the term in v is left out if the reset
    is detached, and 1 - s, too, if it is ignored (SLAYER).

    Args:
        start: First neuron.
        stop: Behind the last neuron.
        g_s: Gradient of the spikes, float32.
        v: Voltages before the reset, float32.
        keep: What a step leaves of the voltage, per channel, float32.
        threshold: A voltage above it has fired and was reset.
        scale: See `surrogate.slope`, like the next.
        of: If the slope is given, it is in g.
        reset: An index into `RESETS`.
        g: Receives the gradient of the current.
    """
    rows = np.empty(2 * BLOCK, np.float32)  # the gradient one step later, and keep
    # Flat arrays and unsigned indices, as in `narrow`.
    g_s_, v_, g_ = g_s.reshape(-1), v.reshape(-1), g.reshape(-1)
    starts = row_starts(g)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        rows[:size] = 0
        spread(keep, first, rows[BLOCK : BLOCK + size])
        for t in range(len(g) - 1, -1, -1):
            at = starts[t] + np.uintp(first)
            if reset == IGNORED:
                for i in range(np.uintp(size)):
                    h = slope(of, v_[at + i], threshold, scale, g_[at + i])
                    of_spike = flush(g_s_[at + i] * h)
                    rows[i] = flush(rows[KEPT + i] * rows[i] + of_spike)
                    g_[at + i] = rows[i]
            elif reset == DETACHED:
                for i in range(np.uintp(size)):
                    h = slope(of, v_[at + i], threshold, scale, g_[at + i])
                    kept = rows[KEPT + i] * rows[i] if v_[at + i] <= threshold else np.float32(0)
                    rows[i] = flush(g_s_[at + i] * h + kept)
                    g_[at + i] = rows[i]
            else:
                for i in range(np.uintp(size)):
                    h = slope(of, v_[at + i], threshold, scale, g_[at + i])
                    later = rows[KEPT + i] * rows[i]
                    kept = later if v_[at + i] <= threshold else np.float32(0)
                    of_spike = g_s_[at + i] - v_[at + i] * later
                    rows[i] = flush(of_spike * h + kept)
                    g_[at + i] = rows[i]
