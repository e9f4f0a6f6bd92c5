"""What is prepared once for a graph: links in the order in which populations run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from pumice.backends.fast.links import Link, links
from pumice.backends.fast.schedule import loops, stages
from pumice.ir import Graph, Population
from pumice.ir.verify import checked_graph

TILE_BYTES = 1 << 19
"""Largest activation in use at a time: it is cleared, added to and read while it is in a core's own cache."""


@dataclass(frozen=True)
class Member:
    """One population of a stage.

    Attributes:
        population: The population.
        dtype: Integer type of its activation.
        from_before: Links from earlier stages.
        from_within: Links from the stage itself.
    """

    population: Population
    dtype: type[np.signedinteger[Any]]
    from_before: tuple[Link, ...]
    from_within: tuple[Link, ...]

    def by_itself(self) -> Member:
        """As the only one of a stage."""
        return replace(self, from_before=self.from_before + self.from_within, from_within=())

    @property
    def is_direct(self) -> bool:
        """Whether the input acts on the population in the step in which it enters."""
        return any(link.longest == 0 for link in self.from_before)


@dataclass(frozen=True)
class Stage:
    """Populations that advance together, see `schedule.stages`.

    Attributes:
        members: The populations.
        loops: Whether they feed each other, and so run step by step.
    """

    members: tuple[Member, ...]
    loops: bool

    def tile_steps(self, batch: int, chunk_steps: int) -> int:
        """How many of a chunk's steps are computed before the next ones."""
        return min(max(TILE_BYTES // (self.bytes_per_step * batch), 1), chunk_steps)

    @cached_property
    def bytes_per_step(self) -> int:
        """Of one sample's activations."""
        return sum(m.population.size * len(m.population.parts) * np.dtype(m.dtype).itemsize for m in self.members)


class Program:
    """A graph, prepared; read by any number of simulators (from several threads, too).

    Attributes:
        graph: What it was made from.
        links: Of all synapses.
        stages: In the order in which they run.
        before_input: For steps taken one by one: each population that its step's input does not reach, by itself.
        after_input: The others.
        longest_delay: For each source, and whether its spikes or its values are read: steps to look back.

    Args:
        graph: A verified graph.

    Raises:
        BackendError: The graph holds a kind of synapse that is not known here.
        InputError: It is no graph.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = checked_graph(graph)
        self.links = links(graph)
        self.stages = [self._stage(names) for names in stages(graph)]
        self.longest_delay: dict[tuple[str, bool], int] = {}
        for link in self.links:
            reading = (link.synapse.source, link.ends.binary)
            self.longest_delay[reading] = max(self.longest_delay.get(reading, 0), link.longest)
        # Within one step no population depends on another: every synapse but a direct one takes a step.
        alone = [Stage((member.by_itself(),), loops=False) for stage in self.stages for member in stage.members]
        self.before_input = [stage for stage in alone if not stage.members[0].is_direct]
        self.after_input = [stage for stage in alone if stage.members[0].is_direct]

    def _stage(self, names: tuple[str, ...]) -> Stage:
        def member(name: str) -> Member:
            into = [link for link in self.links if link.synapse.target == name]
            within = tuple(link for link in into if link.synapse.source in names)
            before = tuple(link for link in into if link.synapse.source not in names)
            dtype = into[0].ends.dtype if into else np.int32
            return Member(self.graph.population(name), dtype, before, within)

        return Stage(tuple(member(name) for name in names), loops(self.graph, names))
