"""Surrogate gradients of the spike, by class or by name."""

from __future__ import annotations

from pumice import names
from pumice.nn.surrogate.arctan import Arctan
from pumice.nn.surrogate.base import Surrogate
from pumice.nn.surrogate.dspike import Dspike
from pumice.nn.surrogate.exponential import PAPER, TUTORIAL, Exponential, GradedExponential
from pumice.nn.surrogate.fast_sigmoid import FastSigmoid
from pumice.nn.surrogate.rectangular import Rectangular
from pumice.nn.surrogate.triangle import Triangle

__all__ = [
    "PAPER",
    "SURROGATES",
    "TUTORIAL",
    "Arctan",
    "Dspike",
    "Exponential",
    "FastSigmoid",
    "GradedExponential",
    "Rectangular",
    "Surrogate",
    "Triangle",
    "find_surrogate",
]

SURROGATES: dict[str, type[Surrogate]] = {
    "arctan": Arctan,
    "dspike": Dspike,
    "exponential": Exponential,
    "fast_sigmoid": FastSigmoid,
    "rectangular": Rectangular,
    "triangle": Triangle,
}


def find_surrogate(name: str | Surrogate) -> Surrogate:
    """The surrogate itself, or the one of this name with its usual parameters.

    Raises:
        InputError: It is neither.

    Example:
        >>> find_surrogate("triangle")
        Triangle(width=1.0)
    """
    found: Surrogate = names.given_or_named(name, Surrogate, SURROGATES, "surrogate")
    return found
