"""The adjoint of a leaky integrate-and-fire neuron with its reset (STBP), over all steps of a batch.

Arrays are (time, neuron), in blocks as in `cuba`.
"""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

import numpy as np

from pumice.jit import njit
from pumice.nn.kernels.cuba import BLOCK, Array, flush


@njit(nogil=True, cache=True)
def stbp_backward(
    start: int, stop: int, g_s: Array, v: Array, tau: np.float32, threshold: np.float32, detached: bool, g: Array
) -> None:
    """The gradient of the current, from the last step to the first, in the place of the surrogate.

    g[t] = h[t] (g_s[t] - tau v[t] g[t+1]) + tau (1 - s[t]) g[t+1], without the term in v if `detached`.

    Args:
        start: First neuron.
        stop: Behind the last neuron.
        g_s: Gradient of the spikes, float32.
        v: Voltages before the reset, float32.
        tau: What a step leaves of the voltage.
        threshold: A voltage above it has fired and was reset.
        detached: The reset is a constant.
        g: h, the surrogate at v; becomes the gradient of the current.
    """
    through_reset = np.float32(0) if detached else tau
    later = np.empty(BLOCK, np.float32)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        later[:size] = 0
        for t in range(len(g) - 1, -1, -1):
            g_s_t, v_t, g_t = (
                g_s[t, first : first + size],
                v[t, first : first + size],
                g[t, first : first + size],
            )
            for i in range(size):
                of_spike = g_s_t[i] - through_reset * v_t[i] * later[i]
                kept = tau * later[i] if v_t[i] <= threshold else np.float32(0)
                later[i] = flush(of_spike * g_t[i] + kept)
                g_t[i] = later[i]
