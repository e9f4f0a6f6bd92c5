"""The gradient of a whole network's neurons."""

from __future__ import annotations

from typing import Any

import torch

from pumice.errors import InputError
from pumice.nn.neurons.cuba import CubaNeuron
from pumice.nn.neurons.gradient import Gradient
from pumice.nn.neurons.gradients import find_gradient
from pumice.nn.neurons.stbp import STBP


def set_gradient_(model: torch.nn.Module, gradient: str | Gradient) -> torch.nn.Module:
    """Choose how every CUBA neuron of a network sends gradients through its reset; the spikes stay what they are.

    Args:
        model: Made of `pumice.nn` blocks; changed in place.
        gradient: "stbp" (through the reset), "stbp-detached" (the reset is a constant), "slayer" (no reset), or a
            `pumice.nn.Gradient`.

    Returns:
        The same model.

    Raises:
        InputError: There is no such gradient, it is not defined for a neuron, or the model has no neuron of pumice.
            Nothing is changed then.

    Example:
        >>> from pumice.nn import Dense
        >>> layer = Dense({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}, 3, 2)
        >>> set_gradient_(layer, "stbp").neuron.gradient.name
        'stbp'
    """
    found = find_gradient(gradient)
    neurons = [module for module in model.modules() if isinstance(module, CubaNeuron)]
    if not neurons:
        raise InputError("the model has no CubaNeuron whose gradient could be chosen; make it of pumice.nn blocks")
    for neuron in neurons:
        found.check(neuron)
    for neuron in neurons:
        neuron.set_gradient(found)
    return model


def stbp_neuron(*args: Any, detaches_reset: bool = False, **options: Any) -> CubaNeuron:
    """A `CubaNeuron` with the gradient of STBP: what `pumice.nn.STBPNeuron` of 0.1 was."""
    return CubaNeuron(*args, gradient=STBP(detaches_reset=detaches_reset), **options)
