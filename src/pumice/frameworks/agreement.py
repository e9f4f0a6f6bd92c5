"""Hold a converted network to the framework's own run, layer by layer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from pumice.errors import InternalError
from pumice.frameworks.network import ConvertedNetwork
from pumice.nn.blocks.merge import Merge

ROUNDING = 1e-4
"""Voltages that differ from the threshold by less than this share of it, or of themselves, may fire or not."""


@dataclass(frozen=True)
class Compared:
    """One layer's spikes beside those of the framework, both driven by the framework's spikes.

    Attributes:
        name: The block.
        differ: Neurons and steps in which they are not equal.
        entries: Neurons times steps times samples.
        spikes: Of the framework.
        explained: Whether each neuron's first difference is a voltage at its threshold, but for rounding.
    """

    name: str
    differ: int
    entries: int
    spikes: int
    explained: bool


def compare(
    network: ConvertedNetwork,
    x: torch.Tensor,
    spikes: Mapping[str, torch.Tensor],
    values: Mapping[str, torch.Tensor],
    *,
    nearly: Collection[str] = (),
) -> list[Compared]:
    """The spikes of every layer, each driven by what the framework's layers sent.

    Args:
        network: In evaluation mode.
        x: What enters, (batch, ..., time).
        spikes: Of the framework, by block.
        values: Of its read-outs, by block.
        nearly: Blocks that are only nearly the same.

    Raises:
        InternalError: Another block differs by more than rounding: something was read otherwise than it computes.
    """
    sent: dict[str, torch.Tensor] = {"input": x}
    found = []
    with torch.no_grad():
        for name, sources in network.steps:
            block: Any = network.get_submodule(name)
            inputs = [sent[source] for source in sources]
            if name in spikes:
                sent[name] = spikes[name]
                found.append(_of_layer(name, block, inputs, spikes[name]))
                continue
            sent[name] = block(*inputs)
            if name in values and name not in nearly:
                _check_values(name, sent[name], values[name])
    wrong = [layer.name for layer in found if not layer.explained and layer.name not in nearly]
    if wrong:
        raise InternalError(
            f"layers {', '.join(wrong)} give other spikes than the framework's, which rounding does not explain: a "
            "layer computes otherwise than its class says (a subclass, a hook, a state that the forward changes)"
        )
    return found


def _of_layer(name: str, block: Merge, inputs: list[torch.Tensor], expected: torch.Tensor) -> Compared:
    current = block.current(*inputs)
    expected = expected.reshape(current.shape)
    if block.recurrent is not None:
        before = torch.cat([torch.zeros_like(expected[..., :1]), expected[..., :-1]], -1)
        current = current + block.recurrent(before)
    got = block.neuron(current)
    differs = got != expected
    explained = True
    if differs.any():
        threshold = block.neuron.threshold
        voltage = block.neuron.dynamics(current)[1]
        first = differs & (differs.cumsum(-1) == 1)
        near = (voltage - threshold).abs() <= ROUNDING * (threshold + voltage.abs())
        explained = bool(near[first].all())
    return Compared(name, int(differs.sum()), got.numel(), int(expected.sum()), explained)


def _check_values(name: str, got: torch.Tensor, expected: torch.Tensor) -> None:
    size = float(expected.abs().max()) + 1e-6
    error = float((got - expected.reshape(got.shape)).abs().max())
    if not error < 1e-2 * size:  # decays are rounded to 1/4096
        raise InternalError(
            f"read-out {name!r} gives other numbers than the framework's: off by {error:.3g}, they reach {size:.3g}"
        )
