"""What a neuron's norm does to the current, once its statistics are fixed: gain * x + offset, which is folded."""

from __future__ import annotations

from typing import Any

import torch
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm, WgtScaleBatchNorm

from pumice.errors import LoweringError
from pumice.nn.norms.tdbn import TDBN


def gain_of(neuron: Any) -> torch.Tensor:
    """What the neuron's norm multiplies the current by, per channel (1 without a norm).

    Args:
        neuron: SLAYER's CUBA neuron, or ours.

    Example:
        >>> from pumice.nn import CubaNeuron
        >>> gain_of(CubaNeuron(threshold=1.0, current_decay=1.0, voltage_decay=0.25)).tolist()
        [1.0]
    """
    norm: Any = neuron.norm
    if isinstance(norm, TDBN):
        return norm.gain()
    if isinstance(norm, WgtScaleBatchNorm):
        return 1 / norm.std(norm.running_var)
    return torch.ones(1, dtype=torch.float32, device=neuron.device)


def offset_of(neuron: Any) -> torch.Tensor:
    """What the neuron's norm adds to the current in every step, per channel, in SLAYER's units (0 without a norm).

    Raises:
        LoweringError: The norm is of a kind that does not fold.

    Example:
        >>> from pumice.nn import CubaNeuron
        >>> offset_of(CubaNeuron(threshold=1.0, current_decay=1.0, voltage_decay=0.25)).tolist()
        [0.0]
    """
    norm: Any = neuron.norm
    if isinstance(norm, TDBN):
        return norm.offset()
    if isinstance(norm, (MeanOnlyBatchNorm, WgtScaleBatchNorm)):
        return -norm.pre_hook_fx(norm.running_mean) * gain_of(neuron)
    if norm is not None:
        raise LoweringError(f"cannot fold a norm of type {type(norm).__name__}; use TDBN or MeanOnlyBatchNorm")
    return torch.zeros(1, dtype=torch.float32, device=neuron.device)
