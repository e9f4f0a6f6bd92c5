"""Output neurons that never fire."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch

from pumice.errors import InputError
from pumice.names import counted
from pumice.nn.blocks.current import Current
from pumice.nn.blocks.linear_readout import LinearReadout
from pumice.nn.synapses.identity import IdentitySynapse


class LeakyReadout(torch.nn.Module):
    r"""Leaky integrators that never fire: their voltage is the answer.

    .. math:: v(t) = (1 - d) \, v(t - 1) + W \, \underset{n}{\mathrm{mean}} \, s_n(t) + b

    The last layer of many networks in the field (snnTorch's `Leaky` without reset, Norse's `LICell`, NIR's `LI`).
    Deployed, it is a population of `ir.Accumulator`, into which one dense synapse leads. What decides is the sum of
    the voltage over a sample's steps.

    Args:
        channels: Channels, or neurons, of the spikes; of an image, the mean over its pixels enters. A sequence of
            them is of several inputs, which are read side by side.
        n_classes: Numbers of the answer.
        bias: Whether there is a b.
        voltage_decay: d, above 0 to 1, rounded to a multiple of 1/4096; 1 keeps nothing from step to step.
        current_decay: Below 1, what is read passes a leaky integrator of its own first (NIR's `CubaLI`); without
            bias.

    Shape:
        One tensor (batch, channel, ..., time) for each input -> (batch, n_classes, time), real numbers.

    Raises:
        InputError: A size is below 1, a decay not above 0 to 1, or there are other inputs, or of other channels.

    Example:
        >>> readout = LeakyReadout(1, 1, bias=False, voltage_decay=0.5)
        >>> _ = readout.readout.linear.weight.data.fill_(1)
        >>> readout(torch.tensor([[[1.0, 0.0, 1.0]]])).tolist()
        [[[1.0, 0.5, 1.25]]]
    """

    def __init__(
        self,
        channels: int | Sequence[int],
        n_classes: int,
        *,
        bias: bool = True,
        voltage_decay: float = 0.1,
        current_decay: float = 1.0,
    ) -> None:
        super().__init__()
        each = list(channels) if isinstance(channels, Sequence) else [channels]
        if not each:
            raise InputError("LeakyReadout: channels must name at least one input, got []")
        first, *others = each
        self.synapse = IdentitySynapse(first)
        self.others = torch.nn.ModuleList(map(IdentitySynapse, others))
        decays = {"voltage_decay": voltage_decay, "current_decay": current_decay}
        self.readout = LinearReadout(sum([first, *others]), n_classes, bias=bias, **decays)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """The synapse was called `arm` in 0.1."""
        if f"{prefix}arm.weight" in state_dict:
            state_dict[f"{prefix}synapse.weight"] = state_dict.pop(f"{prefix}arm.weight")
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, *spikes: torch.Tensor) -> torch.Tensor:
        """The voltage after each step."""
        synapses: list[Any] = [self.synapse, *self.others]
        if len(spikes) != len(synapses):
            raise InputError(
                f"LeakyReadout reads {counted(len(synapses), 'input')}, got {len(spikes)}; give it one of each"
            )
        voltage: torch.Tensor = self.readout(reduce(Current.beside, map(Current.of, synapses, spikes)))
        return voltage
