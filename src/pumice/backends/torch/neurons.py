"""One time step of populations, in 64-bit integers on any device; `pumice.fixedpoint` has the definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pumice.fixedpoint.cuba import effective_bias
from pumice.fixedpoint.formats import DECAY_BITS, DECAY_ONE, NEVER_FIRES_VTH_MANT, STATE_EXP, STATE_LIMIT
from pumice.ir import Accumulator, Cuba, Population

States = dict[str, torch.Tensor]


class Neurons:
    """A population of a batch of samples, advanced by the definition of its kind, on the CPU.

    Args:
        population: The population.
        batch: Samples.
        device: Where states are kept.
    """

    def __init__(self, population: Population, batch: int, device: torch.device) -> None:
        self.population = population
        self._shape = (batch, *population.shape)
        self._device = device
        self.clear()

    def clear(self) -> None:
        """Set every state to 0."""
        self.states: States = {
            name: torch.zeros(self._shape, dtype=torch.int64, device=self._device) for name in self.population.states
        }

    def step(self, t: int, activation: States) -> torch.Tensor:
        """Advance to time step `t` (the first is 1), given an int32 sum for each part; return what is sent."""
        if self.population.reset is not None and self.population.reset.applies(t):
            self.clear()
        return self._step(activation)

    def _step(self, activation: States) -> torch.Tensor:
        states = {name: state.to(torch.int32).numpy(force=True) for name, state in self.states.items()}
        sums = {part: added.numpy(force=True) for part, added in activation.items()}
        sent, after = self.population.step(states, sums)
        self.states = {name: torch.as_tensor(np.asarray(after[name])).to(self._device).long() for name in after}
        return torch.as_tensor(np.asarray(sent)).to(self._device)


class Leaky(Neurons):
    """`Cuba` and `Accumulator`: `fixedpoint.cuba_step` in torch, on the device."""

    def __init__(self, population: Cuba | Accumulator, batch: int, device: torch.device) -> None:
        super().__init__(population, batch, device)
        vth_mant = getattr(population, "vth_mant", NEVER_FIRES_VTH_MANT)
        self._threshold = vth_mant << STATE_EXP
        self._keep_u, self._keep_v = (
            self._on_device(DECAY_ONE - np.asarray(decay, np.int64))
            for decay in (population.i_decay_q12, population.v_decay_q12)
        )
        self._bias = self._on_device(effective_bias(population.bias_mant, population.bias_exp))

    def _on_device(self, values: Any) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values, np.int64)).to(self._device)

    def _step(self, activation: States) -> torch.Tensor:
        injected = _to_int32(activation["real"].long() << STATE_EXP)
        u = _to_int32(_decayed(self.states["u"], self._keep_u) + injected)
        u = torch.where(u > STATE_LIMIT, u - 2 * STATE_LIMIT, u)
        u = torch.where(u <= -STATE_LIMIT, u + 2 * STATE_LIMIT, u)
        v = _to_int32(_decayed(self.states["v"], self._keep_v) + u + self._bias)
        v = v.clamp(1 - STATE_LIMIT, STATE_LIMIT - 1)
        spikes = v > self._threshold
        v = torch.where(spikes, 0, v)
        self.states = {"u": u, "v": v}
        return v.to(torch.int32) if self.population.sends_values else spikes.to(torch.int8)


def neurons(population: Population, batch: int, device: torch.device) -> Neurons:
    """The neurons of a population: on the device where its kind is written for it."""
    kind = Leaky if type(population) in {Cuba, Accumulator} else Neurons
    return kind(population, batch, device)  # type: ignore[arg-type]


def _to_int32(x: torch.Tensor) -> torch.Tensor:
    return x.to(torch.int32).long()


def _decayed(x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """X * keep / 2^12, the fraction dropped toward zero."""
    product = x * keep
    return (product + ((product >> 63) & ((1 << DECAY_BITS) - 1))) >> DECAY_BITS
