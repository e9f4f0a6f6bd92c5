"""Dense layers whose trained delays exceed those of one synapse: relays bring the late sources there earlier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pumice.fixedpoint.formats import DELAY_STEPS
from pumice.ir import Dense, Population, Sparse, Synapse
from pumice.ir.relays import value_relay
from pumice.netx.delays import simplest_delay
from pumice.netx.fields import Int64Array

LONGEST = 2 * DELAY_STEPS.high
"""The longest delay that two synapses, one behind the other, have."""


@dataclass(frozen=True, eq=False)
class LateSources:
    """Sources of a dense layer whose delays are the longest: they pass a relay, and all others wait one step more.

    A relay sends what it receives in the same step; the way through it is one step longer, so the layer's latency
    grows by one. Delays of 0 to 61 stay in the layer's own synapse, which takes the step as its balance.

    Attributes:
        relay: One neuron for each late source.
        into: Brings each late source there, after the first part of its delay.
        is_late: Which sources are late.
        delay: What is left of the delays, (out, in) or (1, in).
    """

    relay: Population
    into: Synapse
    is_late: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    delay: Int64Array

    @classmethod
    def of(cls, source: str, target: str, delay: Int64Array, *, graded: bool) -> LateSources | None:
        """Split delays, (out, in) or (1, in); None if a source's delays are too far apart, or too long.

        Args:
            source: Name of the source.
            target: Name of the layer's population.
            delay: Where some exceed what one synapse has.
            graded: Whether the layer reads values.
        """
        latest, earliest = delay.max(0), delay.min(0)
        is_late = latest >= DELAY_STEPS.high
        before = np.maximum(latest - DELAY_STEPS.high, 0)
        if latest.max() > LONGEST or np.any(before > earliest):
            return None
        columns = np.flatnonzero(is_late)
        relay = value_relay(f"{target}_late", (len(columns),))
        into = Sparse(
            source,
            relay.name,
            graded,
            rows=np.arange(len(columns)),
            columns=columns,
            values=np.ones(len(columns), np.int64),
            delay_steps=before[columns],
        )
        return cls(relay, into, is_late, delay - before)

    def synapses(self, source: str, target: str, weight: Int64Array, part: str) -> Iterator[Synapse]:
        """The layer's weights: those of the other sources, and those of the relay."""
        n_in = weight.shape[1]
        on_time = np.where(self.is_late, 0, self.delay)
        yield Dense(
            source,
            target,
            self.into.graded,
            weight=np.where(self.is_late, 0, weight),
            delay_steps=simplest_delay(on_time, n_in),
            part=part,
            balance_steps=1,
        )
        late = self.delay[:, self.is_late]
        yield Dense(
            self.relay.name,
            target,
            self.into.graded,
            weight=weight[:, self.is_late],
            delay_steps=simplest_delay(late, late.shape[1]),
            part=part,
        )
