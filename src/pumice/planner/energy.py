"""Energy of a step: static power times time, and what every synaptic operation costs."""

from __future__ import annotations

from dataclasses import dataclass

from pumice.hardware.constants import Constants, Range

PJ_PER_UJ = 1e6


@dataclass(frozen=True)
class Energy:
    """In uJ; totals are sums of the parts.

    Attributes:
        dynamic: Synaptic operations, and the chips running.
        static_chip: Static power of the chips' rails times the time.
        static_board: The same for the whole board.
    """

    dynamic: Range
    static_chip: Range
    static_board: Range

    @property
    def chip(self) -> Range:
        """At the chips' rails."""
        return _sum(self.dynamic, self.static_chip)

    @property
    def board(self) -> Range:
        """Of the whole board."""
        return _sum(self.dynamic, self.static_board)

    def times(self, factor: float) -> Energy:
        """Of so many steps."""
        return Energy(*(part.times(factor) for part in (self.dynamic, self.static_chip, self.static_board)))


def step_energy(time: Range, operations: float, chips: int, board_chips: int, constants: Constants) -> Energy:
    """Estimate the energy of a step: `t * P_static + t * chips * P_floor + operations * e_synapse`.

    The low end takes the low constants and the short time, the high end the high ones. Neuron updates and messages
    are contained in the energy of an operation, see docs/plan.md.

    Args:
        time: Of a step, input and output included, in us.
        operations: Synaptic operations of all cores in a step.
        chips: In use.
        board_chips: On the board.
        constants: Of the chip.

    Example:
        >>> from pumice.hardware import load_constants
        >>> energy = step_energy(Range(53, 143, 305), 3_046_752, 1, 1, load_constants())
        >>> [round(bound * 16 / 1000, 1) for bound in energy.chip]  # pilotnet_lif, 16 steps, in mJ; measured: 1.7
        [1.1, 1.7, 4.4]
    """

    def over_time(constant: str, n: int) -> Range:
        return Range(*(t * watts * n for t, watts in zip(time, constants[constant].range, strict=True)))

    per_operation = constants["e_synapse"].range.times(operations / PJ_PER_UJ)
    return Energy(
        dynamic=_sum(per_operation, over_time("p_floor", chips)),
        static_chip=over_time("p_static_chip", chips),
        static_board=over_time("p_static_board", board_chips),
    )


def _sum(first: Range, second: Range) -> Range:
    return Range(*(a + b for a, b in zip(first, second, strict=True)))
