"""The gradients by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pumice import names
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
        InputError: It is neither.

    Example:
        >>> find_gradient("stbp-detached").detaches_reset
        True
    """
    found: Gradient = names.given_or_named(name, Gradient, GRADIENTS, "gradient")
    return found
