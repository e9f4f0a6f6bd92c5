"""Choose a layer's integer scale: weights, bias and threshold grow together until one of them is full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.formats import BIAS_MANT, DECAY_ONE, MIXED_WEIGHT, STATE, STATE_EXP, VTH_MANT


def choose_vth_mant(
    weights: Sequence[npt.NDArray[np.floating[Any]]],
    bias: npt.NDArray[np.floating[Any]],
    *,
    threshold: float,
    max_inputs: Sequence[int],
    i_decay_q12: int | npt.NDArray[np.integer[Any]] = DECAY_ONE,
    concat: bool = False,
) -> int:
    """The largest integer threshold for which the whole layer still fits the chip's formats.

    A leaky integrate-and-fire neuron with all of weight, bias and threshold multiplied by one positive factor
    fires at the same times, in real arithmetic: so the factor is free, and the largest one loses least when the
    numbers are rounded. It is vth_mant / threshold, and is limited by 8-bit weights, the 13-bit bias, the 17-bit
    threshold, and the current's 24 bits: the synaptic sum is shifted left by 6, so all inputs active at once
    must stay below 2^17.

    Args:
        weights: For each synapse into the layer its real weights, shape (n_target, n_source).
        bias: Real bias, any shape.
        threshold: Real threshold, > 0.
        max_inputs: For each synapse the largest absolute value of its sources.
        i_decay_q12: Current decay; the current sums up 4096 / i_decay_q12 steps.
        concat: The synapses end in different neurons; otherwise their sums add up.

    Returns:
        The threshold's mantissa; below 1 if the layer cannot be represented.

    Example:
        >>> choose_vth_mant([np.array([[0.5, -1.0]])], np.zeros(1), threshold=0.5, max_inputs=[1])
        127
    """
    together = max if concat else sum
    largest_weight = max(float(np.abs(w).max(initial=0.0)) for w in weights)
    largest_bias = float(np.abs(bias).max(initial=0.0))
    peaks = list(zip(weights, max_inputs, strict=True))
    worst_sum = together(float(np.abs(w).sum(1).max(initial=0.0)) * peak for w, peak in peaks)
    rounding = together(w.shape[1] * peak for w, peak in peaks)  # each weight may be rounded up by 1
    memory = DECAY_ONE / max(int(np.min(i_decay_q12)), 1)
    limits = [VTH_MANT.high / threshold]
    if largest_weight > 0:
        limits.append(MIXED_WEIGHT.high / largest_weight)
    if worst_sum > 0:
        limits.append((STATE.high / (1 << STATE_EXP) / memory - rounding) / worst_sum)
    if largest_bias > 0:
        limits.append(BIAS_MANT.high / largest_bias)
    return int(np.floor(min(limits) * threshold))
