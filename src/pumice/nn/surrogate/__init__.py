"""Surrogate gradients of the spike, by class or by name."""

from __future__ import annotations

from pumice.errors import InputError
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
        InputError: There is none of this name.

    Example:
        >>> find_surrogate("triangle")
        Triangle(width=1.0)
    """
    if isinstance(name, Surrogate):
        return name
    if name not in SURROGATES:
        raise InputError(f"no surrogate is called {name!r}; there are {', '.join(sorted(SURROGATES))}")
    return SURROGATES[name]()
