"""Layer by layer: how many integers of two runs of one graph differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pumice.backends.base import Record


@dataclass(frozen=True)
class LayerComparison:
    """How many values of one population differ between two runs.

    Attributes:
        population: Its name.
        compared: Values of each quantity that were compared.
        s: Spikes that differ (of a read-out or relay, values).
        u: Currents that differ, or None if they were not compared.
        v: Voltages that differ, or None if they were not compared.
        other: Values of other states that differ: relays have some.
        quantities: How many quantities were compared, s among them.
    """

    population: str
    compared: int
    s: int
    u: int | None = None
    v: int | None = None
    other: int = 0
    quantities: int = 1

    @property
    def states(self) -> int:
        """Currents, voltages and other states that differ.

        Example:
            >>> LayerComparison("conv1", compared=100, s=0, u=2, v=3).states
            5
        """
        return (self.u or 0) + (self.v or 0) + self.other


def compare_records(expected: Mapping[str, Record], got: Mapping[str, Record]) -> tuple[LayerComparison, ...]:
    """Compare two recorded runs of one graph on one stream: s and all states of every neuron at every step."""
    found = []
    for name, record in expected.items():
        other = got[name].values()
        counts = {key: int(np.count_nonzero(values != other[key])) for key, values in record.values().items()}
        s, u, v = counts.pop("s"), counts.pop("u", None), counts.pop("v", None)
        found.append(
            LayerComparison(name, record.s.size, s, u, v, sum(counts.values()), quantities=1 + len(record.states))
        )
    return tuple(found)
