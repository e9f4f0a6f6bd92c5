"""Several currents into one population: residual sums and concatenations."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial, reduce
from itertools import accumulate
from typing import Any

import torch

from pumice.errors import InputError, PumiceWarning
from pumice.names import counted
from pumice.nn.blocks.activation import make_neuron
from pumice.nn.blocks.current import Term
from pumice.nn.blocks.recurrent import recur
from pumice.nn.checks import check_same_shape
from pumice.nn.computed_weight import weight_of
from pumice.nn.neurons.floating import FloatCubaNeuron
from pumice.nn.neurons.recurrent_integer import ChipRecurrent
from pumice.nn.neurons.slayer_state import decays_q12, draw_decays
from pumice.nn.synapses.base import AbstractSynapse, synapse_list
from pumice.nn.synapses.conv import ConvSynapse
from pumice.nn.synapses.delay import Delay
from pumice.nn.synapses.dense import DenseSynapse
from pumice.nn.synapses.one_to_one import OneToOneSynapse

Recurrent = DenseSynapse | OneToOneSynapse | ConvSynapse


class Merge(torch.nn.Module):
    r"""CUBA neurons that receive several synapses.

    .. math:: s = \mathrm{CUBA}\Big(\sum_k \mathrm{norm}_k(W_k s_k)\Big)

    or, with `concat`, the synapses' channels side by side. Spikes enter, currents are summed, spikes leave: this is
    the residual connection of STBP-tdBN (Zheng et al., AAAI 2021). Deployed, each is a synapse of its own into one
    population, and paths of different length are balanced by delays.

    Of n synapses that are summed, each has a norm with alpha = 1/sqrt(n), so that the sum has the variance of one:
    `partial(TDBN, alpha=n**-0.5)`. `ResidualBlock` sees to it; here it is the caller's, and a norm with no alpha of
    its own gives a `PumiceWarning`.

    Args:
        neuron_params: SLAYER's dictionary; a norm belongs to each synapse, not here. With "dynamics": "float" the
            neurons are `FloatCubaNeuron`, and weights are not rounded before the network is quantized.
        *synapses: One or more (`ConvSynapse`, `DenseSynapse`, `IdentitySynapse`, `TokenMixingSynapse`), one for each
            input.
        concat: Put the synapses' channels side by side instead of summing them.
        delay: Learn an axonal `Delay` per channel.
        recurrent: From these neurons to themselves, one step late and before any delay: a `DenseSynapse`, a
            `OneToOneSynapse` or, of images, a `ConvSynapse` that keeps their size, without norm and bias. Each call
            starts from rest. The gradient goes from step to step through its weights, and through the neurons' states
            once they are quantized, or with "dynamics": "float"; never through a reset.
        vth_mant: The integer threshold that quantizing gives the neurons, 1 and up; chosen there if not given.

    Shape:
        One tensor (batch, channel, ..., time) for each synapse -> one of spikes.

    Raises:
        InputError: No synapses, synapses of different channels that are summed, a norm in `neuron_params` or a number
            missing there, another number of inputs than synapses, or currents of different shapes; a recurrent
            synapse of other neurons or with a norm.

    Example:
        >>> from pumice.nn import ConvSynapse, IdentitySynapse
        >>> params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75}
        >>> block = Merge(params, ConvSynapse(4, 4, 3, padding=1), IdentitySynapse(4))
        >>> h = torch.ones(1, 4, 6, 6, 5)
        >>> block(h, h).shape
        torch.Size([1, 4, 6, 6, 5])
    """

    def __init__(
        self,
        neuron_params: dict[str, Any],
        *synapses: AbstractSynapse,
        concat: bool = False,
        delay: bool = False,
        recurrent: Recurrent | None = None,
        vth_mant: int | None = None,
    ) -> None:
        super().__init__()
        self.neuron: Any = make_neuron("Merge", neuron_params)
        self.synapses = synapse_list(synapses)
        self.concat = concat
        channels = self._channels()
        draw_decays(self.neuron, channels)
        self.delay = Delay(channels) if delay else None
        self.recurrent, self.vth_mant = recurrent, vth_mant
        if recurrent is not None:
            _check_recurrent(recurrent, channels)
            if not isinstance(self.neuron, FloatCubaNeuron):
                recurrent.weight_hook = self.neuron.quantize_8bit
                self.neuron.persistent_state = True  # from step to step; each call starts from rest
        if not concat:
            _warn_of_variance(synapses)
        for synapse in synapses:
            if synapse.norm is None and not isinstance(self.neuron, FloatCubaNeuron):
                synapse.weight_hook = self.neuron.quantize_8bit
            elif synapse.norm is not None and synapse.norm.threshold is None:
                synapse.norm.threshold = float(self.neuron.threshold)

    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        """Spikes for one input per synapse."""
        current = self.current(*xs)
        spikes: torch.Tensor = self.neuron(current) if self.recurrent is None else self._recurring(current)
        return spikes if self.delay is None else self.delay(spikes)

    def _recurring(self, current: torch.Tensor) -> torch.Tensor:
        synapse, neuron = self.recurrent, self.neuron
        assert synapse is not None
        _check_axes(synapse, current)
        weight = weight_of(synapse)
        weight = weight if synapse.weight_hook is None else synapse.weight_hook(weight)
        if neuron.is_deployed:
            numbers = neuron.integer_bias(), *decays_q12(neuron)
            constants = float(neuron.vth_mant), neuron.integer_scale, neuron.surrogate
            found: torch.Tensor = ChipRecurrent.apply(current, weight, *numbers, *constants, synapse.linear)
            return found
        back = partial(synapse.linear, weight=weight)
        if isinstance(neuron, FloatCubaNeuron):
            return neuron.recurring(current, back)
        neuron.reset_state()
        found = recur(current, neuron, back)
        neuron.reset_state()
        return found

    def current(self, *xs: torch.Tensor) -> torch.Tensor:
        """What the neurons receive."""
        if len(xs) != len(self.synapses):
            raise InputError(
                f"Merge has {counted(len(self.synapses), 'synapse')}, got {counted(len(xs), 'input')}; give one "
                "to each"
            )
        currents = [synapse(x) for synapse, x in zip(self.synapses, xs, strict=True)]
        check_same_shape("Merge", currents, concat=self.concat)
        return torch.cat(currents, 1) if self.concat else reduce(torch.add, currents)

    def _channels(self) -> int:
        channels: list[int] = [synapse.out_channels for synapse in self.synapses]  # type: ignore[misc]
        if self.concat:
            return sum(channels)
        if len(set(channels)) > 1:
            found = " and ".join(map(str, channels))
            raise InputError(
                f"Merge: synapses of {found} channels cannot be summed; give them the same, or concat=True"
            )
        return channels[0]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """The synapses were called `arms` in 0.1."""
        for name in [name for name in state_dict if name.startswith(f"{prefix}arms.")]:
            state_dict[f"{prefix}synapses.{name.removeprefix(f'{prefix}arms.')}"] = state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *args)

    @property
    def arms(self) -> torch.nn.ModuleList:
        """The synapses, by their name of 0.1, until 0.3."""
        return self.synapses

    def terms(self, xs: Sequence[torch.Tensor]) -> tuple[Term, ...]:
        """What the neurons' current is the sum of, for these inputs."""
        synapses: Any = list(self.synapses)
        sizes = [synapse.out_channels if self.concat else 0 for synapse in synapses]
        firsts = list(accumulate(sizes, initial=0))[:-1]
        return tuple(map(Term, synapses, xs, firsts))


def _check_recurrent(recurrent: Recurrent, channels: int) -> None:
    if not isinstance(recurrent, Recurrent) or recurrent.norm is not None or recurrent.bias is not None:
        raise InputError(
            "Merge: recurrent must be a DenseSynapse, OneToOneSynapse or ConvSynapse without a norm and a bias, got "
            f"{recurrent!r}; a bias belongs to another of the synapses"
        )
    if isinstance(recurrent, ConvSynapse) and not _keeps_size(recurrent):
        raise InputError(
            "Merge: a recurrent convolution must keep the image's size, with stride 1 and padding dilation * "
            f"(kernel_size - 1) / 2, got kernel {tuple(recurrent.weight.shape[2:4])}, stride {recurrent.stride}, "
            f"padding {recurrent.padding}, dilation {recurrent.dilation}"
        )
    if (recurrent.in_channels, recurrent.out_channels) != (channels, channels):
        raise InputError(
            f"Merge: the recurrent synapse goes from {recurrent.in_channels} to {recurrent.out_channels} neurons, "
            f"and must go from {channels} to {channels}"
        )


def _keeps_size(conv: ConvSynapse) -> bool:
    axes = zip(conv.weight.shape[2:4], conv.padding, conv.dilation, strict=True)
    return conv.stride == (1, 1) and all(2 * p == d * (k - 1) for k, p, d in axes)


def _check_axes(recurrent: Recurrent, current: torch.Tensor) -> None:
    if isinstance(recurrent, OneToOneSynapse) or current.ndim == (5 if isinstance(recurrent, ConvSynapse) else 3):
        return
    raise InputError(
        f"Merge: neurons of shape {tuple(current.shape[1:-1])} cannot have a {type(recurrent).__name__} as their "
        "recurrent synapse; use a ConvSynapse for images, a DenseSynapse for rows, a OneToOneSynapse for both"
    )


def _warn_of_variance(synapses: Sequence[AbstractSynapse]) -> None:
    norms = [synapse.norm for synapse in synapses if synapse.norm is not None]
    if len(norms) > 1 and not all(norm.alpha_is_given for norm in norms):
        warnings.warn(
            f"Merge: {len(norms)} synapses with norms are summed, and not each norm was given an alpha: their sum "
            f"varies more than one of them; use norm=partial(nn.TDBN, alpha={len(norms)}**-0.5), or alpha=1.0 if so "
            "meant",
            PumiceWarning,
            stacklevel=3,
        )
