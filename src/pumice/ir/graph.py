"""The graph itself: a frozen description, no behaviour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pumice.errors import GraphError
from pumice.ir.certificate import Certificate
from pumice.ir.input import Input
from pumice.ir.integers import PlainIntegers
from pumice.ir.populations import Population
from pumice.ir.schedule import latencies
from pumice.ir.synapses import Synapse


@dataclass(frozen=True)
class Timing(PlainIntegers):
    """How samples stream through the graph back to back.

    Attributes:
        sample_steps: Steps of one sample.
        period_steps: Steps from one sample's first step to the next one's, >= sample_steps; the rest is silence.
        lead_steps: Silent steps before the first sample.
    """

    sample_steps: int
    period_steps: int
    lead_steps: int = 0


@dataclass(frozen=True, eq=False)
class Graph:
    """Populations, the synapses between them, and which of them are seen from outside.

    Attributes:
        input: What enters.
        populations: In an order in which every feed-forward synapse points forward.
        synapses: Several into one population add up.
        outputs: Names of the populations whose spikes leave, at least one.
        timing: Sample and period length if the graph was made for streaming samples, else None.
        certificate: A recorded run, or None.
        info: Free text about the network's origin (data, accuracy, versions), name -> text.
    """

    input: Input
    populations: tuple[Population, ...]
    synapses: tuple[Synapse, ...]
    outputs: tuple[str, ...]
    timing: Timing | None = None
    certificate: Certificate | None = None
    info: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The input's name and the populations'."""
        return (self.input.name, *(p.name for p in self.populations))

    @property
    def output(self) -> Population:
        """The first output population."""
        return self.population(self.outputs[0])

    @property
    def latency(self) -> int:
        """Steps from the input to the first output."""
        return latencies(self)[self.outputs[0]]

    def population(self, name: str) -> Population:
        """The population called `name`.

        Raises:
            GraphError: There is none.
        """
        if name not in self._population:
            raise GraphError(f"no population {name!r}; there are: {', '.join(p.name for p in self.populations)}")
        return self._population[name]

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Shape of the input or of a population."""
        return self.input.shape if name == self.input.name else self.population(name).shape

    def ends_of(self, synapse: Synapse) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of a synapse's source, and of that part of its target which receives."""
        shape = self.shape_of(synapse.target)
        first, stop = synapse.target_channels or (0, shape[-1])
        return self.shape_of(synapse.source), (*shape[:-1], stop - first)

    def into(self, name: str) -> Iterator[Synapse]:
        """The synapses that end in the population called `name`."""
        return iter(self._into.get(name, ()))

    def out_of(self, name: str) -> Iterator[Synapse]:
        """The synapses that start in the population or input called `name`."""
        return iter(self._out_of.get(name, ()))

    def replace(self, **changes: Any) -> Graph:
        """A copy with some fields changed."""
        return replace(self, **changes)

    # Graphs may have 10,000 populations, and whoever asks for one asks for all of them in turn.

    @cached_property
    def _population(self) -> dict[str, Population]:
        return {population.name: population for population in reversed(self.populations)}

    @cached_property
    def _into(self) -> dict[str, list[Synapse]]:
        return _grouped((s.target, s) for s in self.synapses)

    @cached_property
    def _out_of(self) -> dict[str, list[Synapse]]:
        return _grouped((s.source, s) for s in self.synapses)


def _grouped(named: Iterable[tuple[str, Synapse]]) -> dict[str, list[Synapse]]:
    groups: dict[str, list[Synapse]] = {}
    for name, synapse in named:
        groups.setdefault(name, []).append(synapse)
    return groups
