"""The kinds of populations: one file for each family, each kind with all that is to be known of it."""

from pumice.ir.populations.base import Population
from pumice.ir.populations.leaky import Accumulator, Cuba
from pumice.ir.populations.resonator import Resonator
from pumice.ir.populations.sigma_delta import Delta, Sigma, SigmaDelta

KINDS: tuple[type[Population], ...] = (Cuba, Accumulator, Sigma, Delta, SigmaDelta, Resonator)

__all__ = ["KINDS", "Accumulator", "Cuba", "Delta", "Population", "Resonator", "Sigma", "SigmaDelta"]
