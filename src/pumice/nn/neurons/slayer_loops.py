"""SLAYER's own loops, for inputs that the compiled ones were not written for; with the decays where they belong."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import torch
from lava.lib.dl.slayer.neuron.dynamics import leaky_integrator

from pumice.errors import PumiceWarning
from pumice.nn.neurons.decay import rounded


def integrate(
    x: torch.Tensor,
    decay: torch.Tensor,
    state: torch.Tensor,
    scale: int,
    threshold: float | None = None,
    *,
    debug: bool = False,
) -> torch.Tensor:
    """A leaky integrator in SLAYER's integers, of any dtype; it resets where a threshold is reached, if there is one.

    lava-dl's loops on the CPU take decays for those of the axis before time, an image's columns. Here the channel
    stands there.

    Args:
        x: (batch, channel, ..., time).
        decay: 0 to 4096, per channel or one.
        state: Before the first step, as one step of `time_major`, flat.
        scale: Integers per unit.
        threshold: In units.
        debug: lava-dl's flag: it compares its loops with each other.

    Example:
        >>> x = torch.ones(1, 2, 1, 2, 3, dtype=torch.float64)
        >>> integrate(x, torch.tensor([4096.0, 0.0]), torch.zeros(4), 64)[0, :, 0, 0].tolist()
        [[1.0, 1.0, 1.0], [1.0, 2.0, 3.0]]
    """
    by_channel = x.movedim(1, -2)
    flat = by_channel.reshape(-1, *by_channel.shape[-2:])
    y = leaky_integrator.dynamics(
        flat, rounded(decay), state.view(flat.shape[:-1]).to(flat), scale, threshold, debug=debug
    )
    y = y + (flat - flat).cumsum(-1)  # an integer hides NaN and infinity; from there on nothing is known
    return y.view(by_channel.shape).movedim(-2, 1).contiguous()


def are_needed(neuron: Any, input: torch.Tensor) -> bool:
    """Whether a neuron's input is nothing that the compiled loops were written for; warns of the slow ones."""
    reason = None
    if input.dtype != torch.float32:
        reason = f"its input is {input.dtype}, they compute in float32"
    elif neuron.debug:
        reason = "its debug flag is set"
    elif input.device.type not in ("cpu", "cuda") or input.device != neuron.device:
        reason = f"its input is on {input.device}, its parameters on {neuron.device}"
    elif input.is_cuda and find_spec("triton") is None:
        reason = "triton is not installed"
    if reason is not None:
        warnings.warn(
            f"CubaNeuron uses SLAYER's own loops instead of the compiled ones, several times slower: {reason}",
            PumiceWarning,
            stacklevel=5,
        )
    return reason is not None
