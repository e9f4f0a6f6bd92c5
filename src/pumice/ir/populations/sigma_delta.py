"""Neurons that send changes of a value, and neurons that sum them up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pumice.fixedpoint import DeltaState, delta_step, sigma_step, to_int32
from pumice.fixedpoint.formats import CHANGE_EXP
from pumice.ir.limits import SIGNED_32, Limit
from pumice.ir.populations.base import Int32Array, IntArray, Population, States

_CHANGES = {
    "vth": Limit(0, SIGNED_32[1], register="state"),
    "spike_exp": Limit(*CHANGE_EXP),
    "state_exp": Limit(*CHANGE_EXP),
}


@dataclass(frozen=True, eq=False)
class Sigma(Population):
    """Sums up the changes that it receives and sends the sum; the step is `fixedpoint.sigma_step`."""

    states: ClassVar[tuple[str, ...]] = ("sigma",)
    sends_values: ClassVar[bool] = True

    def step(self, states: States, activation: dict[str, Int32Array]) -> tuple[Int32Array, States]:
        """Add up, and send the sum."""
        sigma = sigma_step(states["sigma"], activation["real"])
        return sigma, {"sigma": sigma}


@dataclass(frozen=True, eq=False)
class Delta(Population):
    """Sends the change of its input once it is large enough; the step is `fixedpoint.delta_step`.

    The input is shifted left by spike_exp + state_exp before it is compared, the change is shifted right by
    state_exp before it is sent.

    Attributes:
        vth: Threshold in the state's units (NetX: vThMant * 2^(spike_exp + state_exp)).
        spike_exp: Fraction bits of what is sent.
        state_exp: Further fraction bits of the state.
        cum_error: Compare the summed-up change since the last message.
    """

    states: ClassVar[tuple[str, ...]] = ("act", "residue", "error")
    sends_values: ClassVar[bool] = True
    limits: ClassVar = _CHANGES

    vth: int
    spike_exp: int = 6
    state_exp: int = 6
    cum_error: bool = False

    def step(self, states: States, activation: dict[str, Int32Array]) -> tuple[Int32Array, States]:
        """Compare the input with what was last sent."""
        value = to_int32(activation["real"].astype(np.int64) << (self.spike_exp + self.state_exp))
        sent, state = delta_step(DeltaState(**states), value, vth=self.vth, cum_error=self.cum_error)
        return sent >> self.state_exp, state._asdict()


@dataclass(frozen=True, eq=False)
class SigmaDelta(Population):
    """Sums up changes, applies bias and activation, and sends the change of the result.

    Attributes:
        vth: Threshold in the state's units.
        bias: Added to the sum, in the state's units, broadcast against the shape.
        relu: Rectify the sum; otherwise it is passed on as it is.
        spike_exp: Fraction bits of what is sent.
        state_exp: Further fraction bits of the state.
        cum_error: Compare the summed-up change since the last message.
    """

    states: ClassVar[tuple[str, ...]] = ("sigma", "act", "residue", "error")
    sends_values: ClassVar[bool] = True
    limits: ClassVar = {**_CHANGES, "bias": Limit(*SIGNED_32, per_neuron=True, register="state")}

    vth: int
    bias: int | IntArray = 0
    relu: bool = True
    spike_exp: int = 6
    state_exp: int = 6
    cum_error: bool = False

    @property
    def is_relay(self) -> bool:
        """Whether the neurons send, in the same step, the sum of what they receive, whatever came before."""
        return not (self.vth or self.relu or self.spike_exp or self.state_exp or np.any(self.bias))

    @property
    def remembers(self) -> bool:
        """Relays do not."""
        return not self.is_relay

    def step(self, states: States, activation: dict[str, Int32Array]) -> tuple[Int32Array, States]:
        """Add up, activate, and compare with what was last sent."""
        rest = {name: state for name, state in states.items() if name != "sigma"}
        sigma = sigma_step(states["sigma"], activation["real"])
        value = to_int32(sigma.astype(np.int64) + np.asarray(self.bias, dtype=np.int64))
        value = np.maximum(value, 0) if self.relu else value
        sent, state = delta_step(DeltaState(**rest), value, vth=self.vth, cum_error=self.cum_error)
        return sent >> self.state_exp, {"sigma": sigma, **state._asdict()}
