"""Uniform access to the weights of every kind of block's synapses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lava.lib.dl.slayer.block import cuba

from pumice.errors import LoweringError
from pumice.nn.blocks import sigma_delta as sd
from pumice.nn.neurons.folding import gain_of
from pumice.nn.synapses.base import AbstractSynapse
from pumice.nn.synapses.slayer import is_transposed, targets_first
from pumice.quantization.trace import Call

WeightHook = Callable[..., torch.Tensor]


@dataclass(frozen=True, eq=False)
class SynapseView:
    """The weight of one synapse, and what is folded into it.

    It holds modules and no functions, so that a copy of a network looks at the copy's weights, and can be pickled.

    Attributes:
        owner: The synapse: ours, or SLAYER's.
        folds: Has the gain of what is folded into the weight: the synapse, or the neuron behind the synapse.
        recurrent: Whether the block's own spikes are the source.
    """

    owner: Any
    folds: Any
    recurrent: bool = False

    def weight(self) -> torch.Tensor:
        """The real weight."""
        weight: torch.Tensor = self.owner.weight
        return weight

    @property
    def weight_exp(self) -> int:
        """Exponent of the integers, by which the sum is shifted left on the chip."""
        return int(getattr(self.owner, "weight_exp", 0))

    def gain(self) -> torch.Tensor:
        """What the norm multiplies the weight by, per channel."""
        return self.folds.gain() if isinstance(self.folds, AbstractSynapse) else gain_of(self.folds)

    def rows(self, weight: torch.Tensor) -> torch.Tensor:
        """Weights as (target channels, sources of one neuron)."""
        if isinstance(self.owner, AbstractSynapse):
            return self.owner.rows(weight)
        return (targets_first(weight, self.owner.groups) if is_transposed(self.owner) else weight).flatten(1)

    def hook(self) -> Any:
        """What replaces the weight in the forward pass."""
        return self.owner.weight_hook if isinstance(self.owner, AbstractSynapse) else self.owner.pre_hook_fx

    def set_hook(self, hook: WeightHook) -> None:
        """Set what replaces the weight in the forward pass."""
        if isinstance(self.owner, AbstractSynapse):
            self.owner.weight_hook = hook
            self.owner.is_deployed = True
        else:
            self.owner.pre_hook_fx = hook

    def integers(self) -> torch.Tensor:
        """The deployed integer weight."""
        hook = self.hook()
        integers: torch.Tensor = getattr(hook, "integers", hook)(self.weight())
        return integers

    def folded_rows(self) -> torch.Tensor:
        """The folded real weights that can meet in one neuron, shape (rows, n)."""
        weight, gain = self.weight(), self.gain()
        return self.rows(weight * gain.reshape(-1, *[1] * (weight.ndim - 1)))


def call_synapses(call: Call) -> list[SynapseView]:
    """The synapses of a block in one of its calls: those of the sum that its neurons get, or `synapse_views`."""
    if not call.terms:
        return synapse_views(call.block)
    back = _recurrent(call.block)
    forward = [SynapseView(term.synapse, term.synapse) for term in call.terms]
    return forward + [SynapseView(synapse, synapse, recurrent=True) for synapse in back]


def synapse_owners(call: Call) -> list[Any]:
    """The synapses, ours or SLAYER's, whose weights a block uses in one of its calls."""
    block = call.block
    if call.terms:
        return [term.synapse for term in call.terms] + _recurrent(block)
    names = ("synapse", "input_synapse", "recurrent_synapse")
    return [getattr(block, name) for name in names if hasattr(block, name)]


def _recurrent(block: Any) -> list[Any]:
    """A block's synapse from its neurons to themselves, where the others are the terms of a sum."""
    return [] if getattr(block, "recurrent", None) is None else [block.recurrent]


def synapse_views(block: Any) -> list[SynapseView]:
    """A block's only synapse, and a recurrent one where there is one."""
    if isinstance(block, sd.Input):
        return []
    forward = block.input_synapse if isinstance(block, cuba.Recurrent) else block.synapse
    back = getattr(block, "recurrent_synapse", None)
    behind = [] if back is None else [SynapseView(back, block.neuron, recurrent=True)]
    return [SynapseView(forward, block.neuron), *behind]


def synapse_name(names: Mapping[int, str], call: Call, synapse: SynapseView) -> str:
    """The name in the model of one of a call's synapses.

    Args:
        names: The model's modules' names, by identity.
        call: Whose synapse it is, for the message.
        synapse: It.

    Raises:
        LoweringError: It is no module of the model.
    """
    if id(synapse.owner) not in names:
        raise LoweringError(
            f"block {call.name!r}: its synapse {type(synapse.owner).__name__} is no module of the model, so that "
            "torch does not know its weights; make it an attribute, or keep it in a torch.nn.ModuleList"
        )
    return names[id(synapse.owner)]
