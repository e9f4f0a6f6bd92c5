"""Populations: their parameters as flat arrays, their states for each sample of a batch, and their step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from pumice.backends.fast.kernels.cuba import BLOCK, cuba_steps
from pumice.backends.fast.kernels.graded import delta_steps, resonator_steps, sigma_steps
from pumice.fixedpoint.cuba import effective_bias
from pumice.fixedpoint.formats import DECAY_ONE, STATE_EXP, STATE_LIMIT
from pumice.ir import Accumulator, Cuba, Delta, Population, Resonator, Sigma, SigmaDelta

Array = npt.NDArray[Any]
P = TypeVar("P", bound=Population)


class AbstractNeurons(ABC, Generic[P]):
    """One population in a batch of samples."""

    def __init__(self, population: P, batch: int) -> None:
        self.population = population
        self.states = {name: np.zeros((batch, population.size), np.int32) for name in population.states}

    def clear(self) -> None:
        """Back to rest."""
        for state in self.states.values():
            state[:] = 0

    def advance(self, t: int, activation: dict[str, Array], sent: Array, traces: dict[str, Array]) -> None:
        """Advance over a range of steps.

        Args:
            t: Lava's number of the first of them (from 1).
            activation: For each part, shape (steps, batch, n), int32.
            sent: What leaves, shape (steps, batch, at least n), written: int8 of kinds that spike, else int32.
            traces: For each state, shape (steps, batch, n), written; or empty arrays of three dimensions.
        """
        clears = np.zeros(len(sent), np.bool_)
        if self.population.reset is not None:
            clears[:] = [self.population.reset.applies(t + i) for i in range(len(sent))]
        self._advance(clears, activation, sent, traces)

    @abstractmethod
    def _advance(
        self, clears: Array, activation: dict[str, Array], sent: Array, traces: dict[str, Array]
    ) -> None: ...

    def _flat(self, parameter: Any, dtype: npt.DTypeLike = np.int64) -> Array:
        """A parameter with a value for each neuron, in memory of its own: a kernel is compiled anew for a view."""
        full = np.broadcast_to(np.asarray(parameter), self.population.shape)
        return np.array(full, dtype).reshape(-1)

    def _in_order(self, arrays: dict[str, Array]) -> tuple[Array, ...]:
        return tuple(arrays[name] for name in self.population.states)


class _LeakyIntegrators(AbstractNeurons[Any]):
    def __init__(self, population: Cuba | Accumulator, batch: int) -> None:
        super().__init__(population, batch)
        p = population
        keep_u, keep_v = (
            self._flat(DECAY_ONE - np.asarray(decay), np.uint32) for decay in (p.i_decay_q12, p.v_decay_q12)
        )
        bias = self._flat(effective_bias(p.bias_mant, p.bias_exp), np.int32)
        self._parameters = (_one_block(keep_u) if np.any(keep_u) else None, _one_block(keep_v), _one_block(bias))
        self._threshold = np.int32(p.vth_mant << STATE_EXP if isinstance(p, Cuba) else STATE_LIMIT)

    def _advance(self, clears: Array, activation: dict[str, Array], sent: Array, traces: dict[str, Array]) -> None:
        cuba_steps(
            activation["real"],
            sent,
            self._in_order(self.states),
            self._parameters,
            self._threshold,
            clears,
            self._in_order(traces) if traces["v"].size else None,
        )


def _one_block(parameter: Array) -> Array:
    """As much of a parameter that is the same everywhere as the kernel reads at once: it need not leave the cache."""
    return parameter[:BLOCK] if np.all(parameter == parameter[:1]) else parameter


class _Sigma(AbstractNeurons[Sigma]):
    def _advance(self, clears: Array, activation: dict[str, Array], sent: Array, traces: dict[str, Array]) -> None:
        sigma_steps(activation["real"], sent, self.states["sigma"], traces["sigma"])


class _ChangeSenders(AbstractNeurons[Any]):
    """`Delta` and `SigmaDelta`."""

    def __init__(self, population: Delta | SigmaDelta, batch: int) -> None:
        super().__init__(population, batch)
        self._sums = isinstance(population, SigmaDelta)
        self._relu = getattr(population, "relu", False)
        self._bias = self._flat(getattr(population, "bias", 0))

    def _advance(self, clears: Array, activation: dict[str, Array], sent: Array, traces: dict[str, Array]) -> None:
        p = self.population
        delta_steps(
            activation["real"],
            sent,
            (self._sums, self._relu, p.cum_error),
            self._bias,
            (p.spike_exp + p.state_exp, p.state_exp),
            p.vth,
            self._with_sigma(self.states),
            self._with_sigma(traces),
        )

    def _with_sigma(self, arrays: dict[str, Array]) -> tuple[Array, ...]:
        """A Delta has no sum; its place is taken by an array that is not touched."""
        return self._in_order(arrays) if self._sums else (arrays["act"], *self._in_order(arrays))


class _Resonators(AbstractNeurons[Resonator]):
    def __init__(self, population: Resonator, batch: int) -> None:
        super().__init__(population, batch)
        self._decays = (self._flat(population.sin_decay), self._flat(population.cos_decay))

    def _advance(self, clears: Array, activation: dict[str, Array], sent: Array, traces: dict[str, Array]) -> None:
        p = self.population
        resonator_steps(
            (activation["real"], activation["imag"]),
            sent,
            self._decays,
            p.vth,
            (p.state_exp, p.decay_bits),
            p.izhikevich,
            self._in_order(self.states),
            self._in_order(traces),
        )


class _ByDefinition(AbstractNeurons[Any]):
    def _advance(self, clears: Array, activation: dict[str, Array], sent: Array, traces: dict[str, Array]) -> None:
        p = self.population
        for step, clear in enumerate(clears):
            if clear:
                self.clear()
            states = {name: state.reshape(-1, *p.shape) for name, state in self.states.items()}
            arriving = {part: value[step].reshape(-1, *p.shape) for part, value in activation.items()}
            given, states = p.step(states, arriving)
            sent[step, :, : p.size] = given.reshape(len(sent[step]), -1)
            for name, state in states.items():
                self.states[name][:] = state.reshape(-1, p.size)
                if traces[name].size:
                    traces[name][step] = self.states[name]


_KINDS: dict[type[Population], type[AbstractNeurons[Any]]] = {
    Cuba: _LeakyIntegrators,
    Accumulator: _LeakyIntegrators,
    Sigma: _Sigma,
    Delta: _ChangeSenders,
    SigmaDelta: _ChangeSenders,
    Resonator: _Resonators,
}


def neurons(population: Population, batch: int) -> AbstractNeurons[Any]:
    """The states and steps of a population; a kind without a kernel of its own is stepped by its definition."""
    return _KINDS.get(type(population), _ByDefinition)(population, batch)
