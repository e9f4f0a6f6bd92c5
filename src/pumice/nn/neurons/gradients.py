"""The gradients by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pumice.errors import InputError
from pumice.nn.neurons.gradient import Gradient, Slayer
from pumice.nn.neurons.hm2bp import HM2BP
from pumice.nn.neurons.stbp import STBP

GRADIENTS: dict[str, Callable[[], Gradient]] = {
    "slayer": Slayer,
    "stbp": STBP,
    "stbp-detached": partial(STBP, detaches_reset=True),
    "hm2bp": HM2BP,
}


def find_gradient(name: str | Gradient | type[Gradient]) -> Gradient:
    """The gradient itself, or the one of this name.

    Raises:
        InputError: There is none of this name.

    Example:
        >>> find_gradient("stbp-detached").detaches_reset
        True
    """
    if isinstance(name, Gradient):
        return name
    if isinstance(name, type):
        raise InputError(f"gradient must be an object, got the class {name.__name__}; give {name.__name__}()")
    if name not in GRADIENTS:
        raise InputError(f"unknown gradient {name!r}; there are: {', '.join(GRADIENTS)}")
    return GRADIENTS[name]()
