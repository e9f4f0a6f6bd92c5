"""Several currents into one population: residual sums and concatenations."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch

from pumice.errors import InputError, PumiceWarning
from pumice.nn.arms import AbstractArm, arm_list
from pumice.nn.checks import check_same_shape
from pumice.nn.delay import Delay
from pumice.nn.neurons import make_neuron
from pumice.nn.slayer_state import draw_decays


class Merge(torch.nn.Module):
    r"""CUBA neurons that receive several arms.

    .. math:: s = \mathrm{CUBA}\Big(\sum_k \mathrm{norm}_k(W_k s_k)\Big)

    or, with `concat`, the arms' channels side by side. Spikes enter, currents are summed, spikes leave: this is
    the residual connection of STBP-tdBN (Zheng et al., AAAI 2021). Deployed, each arm becomes a synapse of its
    own into one population, and paths of different length are balanced by delays.

    Of n arms that are summed, each has a norm with alpha = 1/sqrt(n), so that the sum has the variance of one arm:
    `partial(TDBN, alpha=n**-0.5)`. `ResidualBlock` sees to it; here it is the caller's, and a norm with no alpha of
    its own gives a `PumiceWarning`.

    Args:
        neuron_params: SLAYER's dictionary; a norm belongs to each arm, not here.
        *arms: One or more arms (`ConvArm`, `DenseArm`, `IdentityArm`, `TokenMixingArm`), one for each input.
        concat: Put the arms' channels side by side instead of summing them.
        delay: Learn an axonal `Delay` per channel.

    Shape:
        One tensor (batch, channel, ..., time) for each arm -> one of spikes.

    Raises:
        InputError: No arms, arms of different channels that are summed, a norm in `neuron_params` or a number missing
            there, another number of inputs than arms, or currents of different shapes.

    Example:
        >>> from pumice.nn import ConvArm, IdentityArm
        >>> params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75}
        >>> block = Merge(params, ConvArm(4, 4, 3, padding=1), IdentityArm(4))
        >>> h = torch.ones(1, 4, 6, 6, 5)
        >>> block(h, h).shape
        torch.Size([1, 4, 6, 6, 5])
    """

    def __init__(
        self, neuron_params: dict[str, Any], *arms: AbstractArm, concat: bool = False, delay: bool = False
    ) -> None:
        super().__init__()
        self.neuron: Any = make_neuron("Merge", neuron_params)
        self.arms = arm_list(arms)
        self.concat = concat
        channels = self._channels()
        draw_decays(self.neuron, channels)
        self.delay = Delay(channels) if delay else None
        if not concat:
            _warn_of_variance(arms)
        for arm in arms:
            if arm.norm is None:
                arm.weight_hook = self.neuron.quantize_8bit
            elif arm.norm.threshold is None:
                arm.norm.threshold = float(self.neuron.threshold)

    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        """Spikes for one input per arm."""
        if len(xs) != len(self.arms):
            raise InputError(f"Merge has {len(self.arms)} arms, got {len(xs)} inputs; give one to each")
        currents = [arm(x) for arm, x in zip(self.arms, xs, strict=True)]
        check_same_shape("Merge", currents, concat=self.concat)
        spikes: torch.Tensor = self.neuron(torch.cat(currents, 1) if self.concat else reduce(torch.add, currents))
        return spikes if self.delay is None else self.delay(spikes)

    def _channels(self) -> int:
        channels: list[int] = [arm.out_channels for arm in self.arms]  # type: ignore[misc]
        if self.concat:
            return sum(channels)
        if len(set(channels)) > 1:
            found = " and ".join(map(str, channels))
            raise InputError(f"Merge: arms of {found} channels cannot be summed; give them the same, or concat=True")
        return channels[0]

    def offset(self) -> torch.Tensor:
        """What all norms together add in every step, per channel."""
        arms: Any = self.arms
        offsets = [arm.offset() for arm in arms]
        return torch.cat(offsets) if self.concat else torch.stack(offsets).sum(0)


def _warn_of_variance(arms: Sequence[AbstractArm]) -> None:
    norms = [arm.norm for arm in arms if arm.norm is not None]
    if len(norms) > 1 and not all(norm.alpha_is_given for norm in norms):
        warnings.warn(
            f"Merge: {len(norms)} arms with norms are summed, and not each norm was given an alpha: their sum varies "
            f"more than one of them; use norm=partial(nn.TDBN, alpha={len(norms)}**-0.5), or alpha=1.0 if meant so",
            PumiceWarning,
            stacklevel=3,
        )
