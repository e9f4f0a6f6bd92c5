"""How the learning rate falls within a phase, by name: functions of the epochs done and all epochs of the phase."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any


def cosine(done: float, epochs: float, *, last: float = 0.0) -> float:
    """Half a cosine from 1 to `last` (Loshchilov and Hutter, SGDR, ICLR 2017, without restarts).

    Example:
        >>> [round(cosine(done, 4), 3) for done in range(4)]
        [1.0, 0.854, 0.5, 0.146]
    """
    return last + (1 - last) * ((1 + math.cos(math.pi * done / epochs)) / 2)


def constant(done: float, epochs: float) -> float:
    """1.

    Example:
        >>> constant(3, 4)
        1.0
    """
    return 1.0


def linear(done: float, epochs: float, *, last: float = 0.0) -> float:
    """A straight line from 1 to `last`.

    Example:
        >>> [linear(done, 4) for done in range(4)]
        [1.0, 0.75, 0.5, 0.25]
    """
    return 1 + (last - 1) * done / epochs


def exponential(done: float, epochs: float, *, last: float = 0.01) -> float:
    """Falls by the same factor in every epoch, to `last`.

    Example:
        >>> [exponential(done, 4, last=1 / 16) for done in range(4)]
        [1.0, 0.5, 0.25, 0.125]
    """
    return float(last ** (done / epochs))


def step(done: float, epochs: float, *, at: Sequence[float] = (0.5, 0.75), factor: float = 0.1) -> float:
    """Times `factor` at each of these shares of the epochs.

    Example:
        >>> [step(done, 4, factor=0.5) for done in range(4)]
        [1.0, 1.0, 0.5, 0.25]
    """
    return float(factor ** sum(done >= share * epochs for share in at))


SCHEDULES: dict[str, Callable[..., Any]] = {
    "constant": constant,
    "cosine": cosine,
    "exponential": exponential,
    "linear": linear,
    "step": step,
}
