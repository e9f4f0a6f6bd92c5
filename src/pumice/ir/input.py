"""Where values enter a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pumice.ir.integers import PlainIntegers


@dataclass(frozen=True)
class Input(PlainIntegers):
    """The network's input: one integer array per time step.

    Attributes:
        name: Unique in the graph.
        shape: (x, y, channel) or (features,).
        value_range: Smallest and largest value that the network was made for, or None if nothing was promised. 0 may
            always enter: it is what comes between samples.
    """

    name: str
    shape: tuple[int, ...]
    value_range: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))
