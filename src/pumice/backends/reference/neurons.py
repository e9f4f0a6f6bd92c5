"""Populations and their states."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pumice.ir import Population

Int32Array = npt.NDArray[np.int32]


class Neurons:
    """One population's states, advanced by its kind's definition."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self.clear()

    def clear(self) -> None:
        """Set every state to 0."""
        self.states = {name: np.zeros(self.population.shape, np.int32) for name in self.population.states}

    def step(self, t: int, activation: dict[str, Int32Array]) -> Int32Array:
        """Advance to time step `t` (the first is 1).

        Args:
            t: Time step.
            activation: Sum over the incoming synapses, for each of the population's inputs.

        Returns:
            What leaves the population.
        """
        if self.population.reset is not None and self.population.reset.applies(t):
            self.clear()
        sent, self.states = self.population.step(self.states, activation)
        return sent
