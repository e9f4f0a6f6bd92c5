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

    It holds modules and no functions, so that a copy of a network looks at the copy's weights, and can be pickled.

    Attributes:
        owner: The arm, or SLAYER's synapse.
        folds: Has the gain of what is folded into the weight: the arm, or the neuron behind the synapse.
        recurrent: Whether the block's own spikes are the source.
    """

    owner: Any
    folds: AbstractArm | CubaNeuron
    recurrent: bool = False

    def weight(self) -> torch.Tensor:
        """The real weight."""
        weight: torch.Tensor = self.owner.weight
        return weight

    def gain(self) -> torch.Tensor:
        """What the norm multiplies the weight by, per channel."""
        return self.folds.gain()

    def rows(self, weight: torch.Tensor) -> torch.Tensor:
        """Weights as (target channels, sources of one neuron)."""
        return self.owner.rows(weight) if isinstance(self.owner, AbstractArm) else weight.flatten(1)

    def hook(self) -> Any:
        """What replaces the weight in the forward pass."""
        return self.owner.weight_hook if isinstance(self.owner, AbstractArm) else self.owner.pre_hook_fx

    def set_hook(self, hook: WeightHook) -> None:
        """Set what replaces the weight in the forward pass."""
        if isinstance(self.owner, AbstractArm):
            self.owner.weight_hook = hook
            self.owner.is_deployed = True
        else:
            self.owner.pre_hook_fx = hook

    def integers(self) -> torch.Tensor:
        """The deployed integer weight."""
        integers: torch.Tensor = self.hook()(self.weight())
        return integers

    def folded_rows(self) -> torch.Tensor:
        """The folded real weights that can meet in one neuron, shape (rows, n)."""
        weight, gain = self.weight(), self.gain()
        return self.rows(weight * gain.reshape(-1, *[1] * (weight.ndim - 1)))


def call_arms(call: Call) -> list[ArmView]:
    """The arms of a block in one of its calls: `arm_views`, or those of the current that entered it."""
    return [ArmView(term.arm, term.arm) for term in call.terms] if call.terms else arm_views(call.block)


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
        return [ArmView(arm, arm) for arm in arms]
    if isinstance(block, cuba.Recurrent):
        forward, back = block.input_synapse, block.recurrent_synapse
        return [ArmView(forward, block.neuron), ArmView(back, block.neuron, recurrent=True)]
    return [ArmView(block.synapse, block.neuron)]
