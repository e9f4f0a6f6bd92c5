"""When the states of a population are cleared."""

from __future__ import annotations

from dataclasses import dataclass

from pumice.ir.integers import PlainIntegers


@dataclass(frozen=True)
class Reset(PlainIntegers):
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
