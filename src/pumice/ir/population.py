"""Where values live: the network's input, and populations of neurons of one kind and one shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Reset:
    """u and v become 0 in every time step t (counted from 1) with t % interval == offset % interval.

    The reset comes after the step's input has arrived and before it is integrated.

    Attributes:
        interval: Steps from one reset to the next, >= 1.
        offset: Phase, any integer >= 0.
    """

    interval: int
    offset: int = 0

    def applies(self, t: int) -> bool:
        """Whether the reset happens in time step `t` (the first step is 1).

        Example:
            >>> [t for t in range(1, 12) if Reset(interval=4, offset=2).applies(t)]
            [2, 6, 10]
        """
        return t % self.interval == self.offset % self.interval


@dataclass(frozen=True)
class Input:
    """The network's input: one integer array per time step.

    Attributes:
        name: Unique in the graph.
        shape: (x, y, channel) or (features,).
        value_range: Smallest and largest value that the network was made for, or None if nothing was promised.
    """

    name: str
    shape: tuple[int, ...]
    value_range: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))


@dataclass(frozen=True, eq=False)
class Cuba:
    """A population of current-based leaky integrate-and-fire neurons; the step is `fixedpoint.cuba_step`.

    Parameters broadcast against `shape` (so a per-channel array has shape (channel,)).

    Attributes:
        name: Unique in the graph.
        shape: (x, y, channel) or (features,).
        vth_mant: Threshold mantissa, 17 bits: fires when v > vth_mant * 64.
        i_decay_q12: Current decay in units of 2^-12, 0 to 4096 (4096: the current has no memory).
        v_decay_q12: Voltage decay in units of 2^-12, 0 to 4096.
        bias_mant: Added to v every step as bias_mant * 2^bias_exp; 13 bits on the chip.
        bias_exp: 0 to 7.
        reset: When u and v are cleared, or None.
    """

    name: str
    shape: tuple[int, ...]
    vth_mant: int
    i_decay_q12: int | IntArray = 4096
    v_decay_q12: int | IntArray = 0
    bias_mant: int | IntArray = 0
    bias_exp: int = 6
    reset: Reset | None = None

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))
