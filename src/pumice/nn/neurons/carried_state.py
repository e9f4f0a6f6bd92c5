"""The states that neurons carry from one batch to the next, where `persistent_state` asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lava.lib.dl.slayer.neuron import cuba

from pumice.fixedpoint.formats import STATE_EXP
from pumice.nn.layout import neuron_vector


def start(neuron: Any, name: str, x: torch.Tensor) -> torch.Tensor:
    """The state before the first step: what was kept of a batch of this shape, or rest.

    Args:
        neuron: Has the state (batch, channel, ...) under that name.
        name: Of the state.
        x: The input, as `time_major` gives it.

    Returns:
        A number per neuron, in the order of a step of `x`, of its type.
    """
    state = getattr(neuron, name)
    if state.shape != (x.shape[1], x.shape[-1], *x.shape[2:-1]):
        return x.new_zeros(x[0].numel())
    return neuron_vector(state).to(x)


def keep(neuron: Any, current: torch.Tensor, voltage: torch.Tensor, spikes: torch.Tensor | None = None) -> None:
    """Keep the last step for the next batch, if the neuron's state is persistent.

    Args:
        neuron: Gets `current_state` and `voltage_state`.
        current: (batch, channel, ..., time), like the others.
        voltage: Before the reset.
        spikes: Where they are, the voltage is reset; None leaves that to the caller.
    """
    if neuron.persistent_state:
        with torch.inference_mode(False), torch.no_grad():  # the next batch may be one to train with
            neuron.current_state = current.detach()[..., -1].clone()
            last = voltage.detach()[..., -1].clone()
            neuron.voltage_state = last if spikes is None else last * (spikes.detach()[..., -1] <= 0)


def start_integers(neuron: Any, z: torch.Tensor) -> list[torch.Tensor]:
    """Current and voltage of a deployed neuron before the first step, in the chip's integers.

    Args:
        neuron: What was kept of a batch of this shape counts if its state is persistent.
        z: The input, (batch, channel, ..., time).

    Returns:
        For each, (batch, channel, ...), float64, in memory of its own.
    """
    states = (getattr(neuron, name) for name in ("current_state", "voltage_state"))
    return [
        state.to(torch.float64) * (1 << STATE_EXP)
        if neuron.persistent_state and state.shape == z.shape[:-1]
        else torch.zeros(z.shape[:-1], dtype=torch.float64, device=z.device)
        for state in states
    ]


def keep_integers(neuron: Any, states: Sequence[torch.Tensor], x: torch.Tensor) -> None:
    """Keep a deployed neuron's current and voltage behind the last step and its reset, if its state is persistent.

    Args:
        neuron: Gets `current_state` and `voltage_state`.
        states: In the chip's integers, a number per neuron each.
        x: The input, as `time_major` gives it.
    """
    if neuron.persistent_state:
        with torch.inference_mode(False), torch.no_grad():
            u, v = (state.view(x.shape[1:]).movedim(-1, 1) / (1 << STATE_EXP) for state in states)
            neuron.current_state, neuron.voltage_state = u, v.to(torch.float32)


@contextmanager
def at_rest(model: torch.nn.Module) -> Iterator[None]:
    """Every neuron of the model is at rest now, and has its state back when the context ends.

    Example:
        >>> from pumice.nn import CubaNeuron
        >>> neuron = CubaNeuron(threshold=9.0, current_decay=1.0, voltage_decay=0.0, persistent_state=True)
        >>> x = torch.ones(1, 1, 1)
        >>> _ = neuron(x)
        >>> with at_rest(neuron):
        ...     _ = neuron(x)
        >>> neuron.voltage_state.item()
        1.0
    """
    neurons = [m for m in model.modules() if isinstance(m, cuba.Neuron) and m.persistent_state]
    states = [(neuron.current_state, neuron.voltage_state) for neuron in neurons]
    try:
        for neuron in neurons:
            neuron.current_state = neuron.voltage_state = torch.zeros(1, device=neuron.device)
        yield
    finally:
        for neuron, (current, voltage) in zip(neurons, states, strict=True):
            neuron.current_state, neuron.voltage_state = current, voltage
