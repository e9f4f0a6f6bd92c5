"""One way to look at the weights of every kind of block: its arms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from lava.lib.dl.slayer.block import cuba

from pumice.nn.arms import AbstractArm
from pumice.nn.cuba import CubaNeuron
from pumice.nn.merge import Merge
from pumice.nn.trace import Call

WeightHook = Callable[..., torch.Tensor]


@dataclass(frozen=True, eq=False)
class ArmView:
    """The weight of one synapse, and what is folded into it.

    Attributes:
        owner: The arm, or SLAYER's synapse.
        weight: Gives the real weight.
        gain: Gives what the norm multiplies it by, per channel.
        rows: Turns it into (target channels, sources of one neuron).
        set_hook: Sets what replaces the weight in the forward pass.
        recurrent: Whether the block's own spikes are the source.
    """

    owner: Any
    weight: Callable[[], torch.Tensor]
    gain: Callable[[], torch.Tensor]
    rows: Callable[[torch.Tensor], torch.Tensor]
    set_hook: Callable[[WeightHook], None]
    recurrent: bool = False

    def integers(self) -> torch.Tensor:
        """The deployed integer weight."""
        integers: torch.Tensor = self.hook()(self.weight())
        return integers

    def hook(self) -> Any:
        """What replaces the weight in the forward pass."""
        return self.owner.weight_hook if isinstance(self.owner, AbstractArm) else self.owner.pre_hook_fx

    def folded_rows(self) -> torch.Tensor:
        """The folded real weights that can meet in one neuron, shape (rows, n)."""
        weight, gain = self.weight(), self.gain()
        return self.rows(weight * gain.reshape(-1, *[1] * (weight.ndim - 1)))


def call_arms(call: Call) -> list[ArmView]:
    """The arms of a block in one of its calls: `arm_views`, or those of the current that entered it."""
    return [_arm_view(term.arm) for term in call.terms] if call.terms else arm_views(call.block)


def synapse_owners(call: Call) -> list[Any]:
    """The arms and SLAYER synapses whose weights a block uses in one of its calls."""
    block = call.block
    if call.terms:
        return [term.arm for term in call.terms]
    if isinstance(block, Merge):
        return list(block.arms)
    names = ("synapse", "input_synapse", "recurrent_synapse")
    return [getattr(block, name) for name in names if hasattr(block, name)]


def arm_views(block: Any) -> list[ArmView]:
    """A block's arms, one for each of its inputs, and a recurrent one where there is one."""
    if isinstance(block, Merge):
        arms: Any = block.arms
        return [_arm_view(arm) for arm in arms]
    if isinstance(block, cuba.Recurrent):
        forward, back = block.input_synapse, block.recurrent_synapse
        return [_synapse_view(forward, block.neuron), _synapse_view(back, block.neuron, recurrent=True)]
    return [_synapse_view(block.synapse, block.neuron)]


def _arm_view(arm: AbstractArm) -> ArmView:
    def set_hook(hook: WeightHook) -> None:
        arm.weight_hook = hook
        arm.is_deployed = True

    return ArmView(arm, lambda: arm.weight, arm.gain, arm.rows, set_hook)


def _synapse_view(synapse: Any, neuron: CubaNeuron, recurrent: bool = False) -> ArmView:
    def set_hook(hook: WeightHook) -> None:
        synapse.pre_hook_fx = hook

    return ArmView(synapse, lambda: synapse.weight, neuron.gain, lambda w: w.flatten(1), set_hook, recurrent)
