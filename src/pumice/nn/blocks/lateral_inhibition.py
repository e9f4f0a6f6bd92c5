"""A dense layer whose neurons inhibit each other: who fires first keeps the others down."""

from __future__ import annotations

from typing import Any

import torch
from lava.lib.dl.slayer import synapse as slayer_synapse

from pumice.errors import InputError, LoweringError
from pumice.fixedpoint.formats import MIXED_WEIGHT
from pumice.nn.blocks.layers import Dense, behind_neurons
from pumice.nn.exact import exactly_if_deployed
from pumice.nn.neurons.gradient import LayerRule
from pumice.nn.neurons.inhibition import from_neighbors, inhibited_spikes
from pumice.nn.precision import for_neurons
from pumice.nn.synapses.slayer import fast


class LateralInhibition(Dense):
    r"""Fully connected layer of CUBA neurons with fixed inhibition of each by all the others.

    .. math:: s_i[t] = f\Big(\sum_j w_{ij} x_j[t] - c \sum_{k \ne i} s_k[t-1]\Big)

    It is `Recurrent` with weights that do not learn, -c on the chip's grid, and is lowered as such. With SLAYER's
    gradient, or STBP's, the inhibition counts as a current from outside; HM2-BP has a term for it.

    Jin, Zhang, Li: HM2-BP, NeurIPS 2018, whose output layers have it (c = 1).

    Args:
        neuron_params: SLAYER's dictionary, without a norm.
        in_neurons: Number of inputs.
        out_neurons: Number of neurons, at least 2.
        strength: c, in units of a weight, up to 4 with SLAYER's usual scale of 64; rounded to 1/32, as weights are.
        **options: Those of `Dense`.

    Shape:
        (batch, in_neurons, time) -> (batch, out_neurons, time), spikes 0 or 1.

    Raises:
        InputError: The strength is none of the chip's weights, or the neurons have a norm or a persistent state.

    Example:
        >>> params = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 1.0}
        >>> layer = LateralInhibition(params, 1, 2, strength=2.0)
        >>> layer.synapse.weight.data.flatten()[:] = torch.tensor([2.0, 1.5])
        >>> layer(torch.ones(1, 1, 3)).tolist()  # both fire, then each is inhibited by the other, then both again
        [[[1.0, 0.0, 1.0], [1.0, 0.0, 1.0]]]
    """

    def __init__(
        self,
        neuron_params: dict[str, Any],
        in_neurons: int,
        out_neurons: int,
        *,
        strength: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(neuron_params, in_neurons, out_neurons, **options)
        if self.neuron.norm is not None or self.neuron.persistent_state:
            raise InputError(
                "LateralInhibition: its neurons can have neither a norm, as inhibition has fixed weights, nor a "
                f"persistent state, got norm {type(self.neuron.norm).__name__} and persistent_state="
                f'{self.neuron.persistent_state}; leave both out (neuron.norm = "none" in a recipe)'
            )
        step, most = 2 / self.neuron.w_scale, -MIXED_WEIGHT.low / self.neuron.w_scale
        if out_neurons < 2 or not step <= strength <= most:
            raise InputError(
                f"LateralInhibition: strength must lie in {step:g}..{most:g}, the chip's weights, and out_neurons be "
                f">= 2, got {strength} and {out_neurons}"
            )
        back: Any = slayer_synapse.Dense(out_neurons, out_neurons)
        back.pre_hook_fx = self.neuron.quantize_8bit
        back.weight.requires_grad_(requires_grad=False)
        back.weight.copy_((-strength * (1 - torch.eye(out_neurons))).view(back.weight.shape))
        self.recurrent_synapse = fast(back, self.neuron)

    @property
    def is_deployed(self) -> bool:
        """Whether the forward pass is the chip's."""
        return self.neuron.is_deployed

    def matrix(self) -> torch.Tensor:
        """The weights between the neurons as they are used, shape (out, out): -c, and 0 of each to itself."""
        weight: torch.Tensor = self.recurrent_synapse.pre_hook_fx(self.recurrent_synapse.weight.detach())
        return weight.flatten(1)

    @exactly_if_deployed
    def forward(self, x: torch.Tensor) -> Any:
        """Spikes for spikes, from rest."""
        if self.mask is not None:
            self.synapse.weight.data *= self.mask
        matrix, rule = self.matrix(), self.neuron.gradient
        if isinstance(rule, LayerRule) and rule.applies(self.neuron, x):
            spikes = rule.inhibited_spikes(self.synapse, self.neuron, x, matrix)
            spikes = spikes if self.neuron.drop is None else self.neuron.drop(spikes)
        else:
            z = for_neurons(self.synapse(x))
            spikes = self.neuron(z + from_neighbors(inhibited_spikes(self.neuron, z, matrix), matrix))
        return behind_neurons(self, spikes)

    def export_hdf5(self, handle: Any) -> None:
        """Refused.

        Raises:
            LoweringError: lava-dl writes a dense layer without its inhibition.
        """
        raise LoweringError(
            "lava-dl's export_hdf5 cannot write a LateralInhibition; use pumice.lower(model, example_input) and "
            "pumice.save(graph, path)"
        )
