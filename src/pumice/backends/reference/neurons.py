"""Populations and their states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint import (
    CubaState,
    DeltaState,
    ResonatorState,
    cuba_step,
    delta_step,
    resonator_step,
    sigma_step,
    to_int32,
)
from pumice.fixedpoint.cuba import effective_bias
from pumice.fixedpoint.formats import NEVER_FIRES_VTH_MANT
from pumice.ir import Accumulator, Cuba, Delta, Population, Resonator, Sigma, SigmaDelta
from pumice.ir.kinds import rule_for

Int32Array = npt.NDArray[np.int32]
P = TypeVar("P", bound=Population)

"""Times 64 this is the largest voltage there is."""


class AbstractNeurons(ABC, Generic[P]):
    """One population's states, and its step."""

    def __init__(self, population: P) -> None:
        self.population = population
        self.clear()

    def clear(self) -> None:
        """Set every state to 0."""
        self.states = {name: np.zeros(self.population.shape, np.int32) for name in self.population.states}

    @abstractmethod
    def step(self, t: int, activation: dict[str, Int32Array]) -> Int32Array:
        """Advance to time step `t` (the first is 1).

        Args:
            t: Time step.
            activation: Sum over the incoming synapses, for each of the population's inputs.

        Returns:
            What leaves the population.
        """


def neurons(population: Population) -> AbstractNeurons[Any]:
    """The states and step of a population."""
    return rule_for(_KINDS, population, "the reference backend")(population)


class _LeakyIntegrators(AbstractNeurons[Any]):
    """`Cuba`, and `Accumulator`, which only lacks a threshold within reach."""

    def step(self, t: int, activation: dict[str, Int32Array]) -> Int32Array:
        p = self.population
        if p.reset is not None and p.reset.applies(t):
            self.clear()
        fires = isinstance(p, Cuba)
        spikes, state = cuba_step(
            CubaState(**self.states),
            activation["real"],
            i_decay_q12=p.i_decay_q12,
            v_decay_q12=p.v_decay_q12,
            vth_mant=p.vth_mant if fires else NEVER_FIRES_VTH_MANT,
            bias=effective_bias(p.bias_mant, p.bias_exp),
        )
        self.states = state._asdict()
        return spikes.astype(np.int32) if fires else state.v


class _Sigma(AbstractNeurons[Sigma]):
    def step(self, t: int, activation: dict[str, Int32Array]) -> Int32Array:
        self.states = {"sigma": sigma_step(self.states["sigma"], activation["real"])}
        return self.states["sigma"]


class _Delta(AbstractNeurons[Delta]):
    def step(self, t: int, activation: dict[str, Int32Array]) -> Int32Array:
        p = self.population
        value = to_int32(activation["real"].astype(np.int64) << (p.spike_exp + p.state_exp))
        sent, state = delta_step(DeltaState(**self.states), value, vth=p.vth, cum_error=p.cum_error)
        self.states = state._asdict()
        return sent >> p.state_exp


class _SigmaDelta(AbstractNeurons[SigmaDelta]):
    def step(self, t: int, activation: dict[str, Int32Array]) -> Int32Array:
        p = self.population
        sigma = sigma_step(self.states.pop("sigma"), activation["real"])
        value = to_int32(sigma.astype(np.int64) + np.asarray(p.bias, dtype=np.int64))
        value = np.maximum(value, 0) if p.relu else value
        sent, state = delta_step(DeltaState(**self.states), value, vth=p.vth, cum_error=p.cum_error)
        self.states = {"sigma": sigma, **state._asdict()}
        return sent >> p.state_exp


class _Resonators(AbstractNeurons[Resonator]):
    def step(self, t: int, activation: dict[str, Int32Array]) -> Int32Array:
        p = self.population
        spikes, state = resonator_step(
            ResonatorState(**self.states),
            activation["real"],
            activation["imag"],
            sin_decay=p.sin_decay,
            cos_decay=p.cos_decay,
            vth=p.vth,
            state_exp=p.state_exp,
            decay_bits=p.decay_bits,
            izhikevich=p.izhikevich,
        )
        self.states = state._asdict()
        return spikes.astype(np.int32)


_KINDS: dict[type[Population], type[AbstractNeurons[Any]]] = {
    Cuba: _LeakyIntegrators,
    Accumulator: _LeakyIntegrators,
    Sigma: _Sigma,
    Delta: _Delta,
    SigmaDelta: _SigmaDelta,
    Resonator: _Resonators,
}
