"""Leaky integrators, that fire or only integrate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.cuba import CubaState, cuba_step, effective_bias
from pumice.fixedpoint.formats import BIAS_EXP, DECAY, DECAY_ONE, NEVER_FIRES_VTH_MANT, STATE_LIMIT
from pumice.ir.limits import SIGNED_16, Limit
from pumice.ir.populations.base import Int32Array, IntArray, Population, States

_LEAKY = {
    "i_decay_q12": Limit(*DECAY, per_neuron=True),
    "v_decay_q12": Limit(*DECAY, per_neuron=True),
    "bias_mant": Limit(*SIGNED_16, per_neuron=True, register="bias_mant"),
    "bias_exp": Limit(*BIAS_EXP, register="bias_exp"),
}


@dataclass(frozen=True, eq=False)
class Cuba(Population):
    """Current-based leaky integrate-and-fire neurons; the step is `fixedpoint.cuba_step`.

    Attributes:
        vth_mant: Threshold mantissa, 17 bits: fires when v > vth_mant * 64.
        i_decay_q12: Current decay in units of 2^-12, 0 to 4096 (4096: the current has no memory).
        v_decay_q12: Voltage decay in units of 2^-12, 0 to 4096.
        bias_mant: Added to v every step as bias_mant * 2^bias_exp; 13 bits on the chip.
        bias_exp: 0 to 7.
    """

    states: ClassVar[tuple[str, ...]] = ("u", "v")
    can_reset: ClassVar[bool] = True
    limits: ClassVar = {"vth_mant": Limit(0, (1 << 18) - 1, register="vth_mant"), **_LEAKY}

    vth_mant: int
    i_decay_q12: int | IntArray = DECAY_ONE
    v_decay_q12: int | IntArray = 0
    bias_mant: int | IntArray = 0
    bias_exp: int = 6

    @property
    def hard_wired(self) -> bool | None:
        """Lava's LIF is; what its LIFReset is nobody has said."""
        return True if self.reset is None else None

    def step(self, states: States, activation: dict[str, Int32Array]) -> tuple[Int32Array, States]:
        """Integrate, and fire above the threshold."""
        spikes, after = _integrate(self, self.vth_mant, states, activation)
        return spikes.astype(np.int32), after


@dataclass(frozen=True, eq=False)
class Accumulator(Population):
    """Neurons that integrate like `Cuba` and never fire: the output is the voltage.

    Attributes: as those of `Cuba`, without a threshold.
    """

    states: ClassVar[tuple[str, ...]] = ("u", "v")
    sends_values: ClassVar[bool] = True
    can_reset: ClassVar[bool] = True
    limits: ClassVar = _LEAKY

    i_decay_q12: int | IntArray = DECAY_ONE
    v_decay_q12: int | IntArray = 0
    bias_mant: int | IntArray = 0
    bias_exp: int = 6

    @property
    def sent_range(self) -> tuple[int, int]:
        """Voltages clip at 24 bits."""
        return (1 - STATE_LIMIT, STATE_LIMIT - 1)

    @property
    def hard_wired(self) -> bool | None:
        """Lava's LIF is; what its LIFReset is nobody has said."""
        return True if self.reset is None else None

    def step(self, states: States, activation: dict[str, Int32Array]) -> tuple[Int32Array, States]:
        """Integrate, and send the voltage."""
        _, after = _integrate(self, NEVER_FIRES_VTH_MANT, states, activation)
        return after["v"], after


def _integrate(
    p: Cuba | Accumulator, vth_mant: int, states: States, activation: dict[str, Int32Array]
) -> tuple[npt.NDArray[np.bool_], States]:
    spikes, state = cuba_step(
        CubaState(**states),
        activation["real"],
        i_decay_q12=p.i_decay_q12,
        v_decay_q12=p.v_decay_q12,
        vth_mant=vth_mant,
        bias=effective_bias(p.bias_mant, p.bias_exp),
    )
    return spikes, state._asdict()
