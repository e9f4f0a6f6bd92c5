"""Resonate-and-fire neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pumice.fixedpoint import ResonatorState, resonator_step
from pumice.ir.limits import SIGNED_16, SIGNED_32, Limit
from pumice.ir.populations.base import Int32Array, IntArray, Population, States


@dataclass(frozen=True, eq=False)
class Resonator(Population):
    """Resonate-and-fire neurons; the step is `fixedpoint.resonator_step`.

    Attributes:
        vth: Threshold in the state's units (NetX: vThMant * 2^state_exp).
        sin_decay: (1 - decay) * sin(2 pi / period), times 2^decay_bits.
        cos_decay: (1 - decay) * cos(2 pi / period), times 2^decay_bits.
        state_exp: Left shift of the input.
        decay_bits: Fraction bits of the decays.
        izhikevich: Fire on the imaginary part, with a reset; otherwise on the phase.
    """

    states: ClassVar[tuple[str, ...]] = ("real", "imag")
    parts: ClassVar[tuple[str, ...]] = ("real", "imag")
    state_words: ClassVar[int] = 2  # as other microcoded neurons of two states were seen to take
    limits: ClassVar = {
        "vth": Limit(0, SIGNED_32[1], register="state"),
        "sin_decay": Limit(*SIGNED_16, per_neuron=True),
        "cos_decay": Limit(*SIGNED_16, per_neuron=True),
        "state_exp": Limit(0, 7),
        "decay_bits": Limit(0, 12),
    }

    vth: int
    sin_decay: int | IntArray
    cos_decay: int | IntArray
    state_exp: int = 6
    decay_bits: int = 12
    izhikevich: bool = False

    @property
    def hard_wired(self) -> bool | None:
        """They are microcode."""
        return False

    def step(self, states: States, activation: dict[str, Int32Array]) -> tuple[Int32Array, States]:
        """Rotate and decay, add both inputs, and fire."""
        spikes, state = resonator_step(
            ResonatorState(**states),
            activation["real"],
            activation["imag"],
            sin_decay=self.sin_decay,
            cos_decay=self.cos_decay,
            vth=self.vth,
            state_exp=self.state_exp,
            decay_bits=self.decay_bits,
            izhikevich=self.izhikevich,
        )
        return spikes.astype(np.int32), state._asdict()
