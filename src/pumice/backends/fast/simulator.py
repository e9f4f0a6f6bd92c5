"""A graph that runs: states of a batch of samples, advanced chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.fast.bounds import activation_types, sends_values
from pumice.backends.fast.frames import Frames
from pumice.backends.fast.links import Link, links
from pumice.backends.fast.neurons import AbstractNeurons, neurons
from pumice.backends.fast.schedule import loops, stages
from pumice.ir import Graph, Population

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Member:
    """One population of a stage, and the links into it: from earlier stages, and from the stage itself."""

    population: Population
    from_before: tuple[Link, ...]
    from_within: tuple[Link, ...]


@dataclass(frozen=True)
class Stage:
    """Populations that advance together, see `schedule.stages`; `loops`: step by step."""

    members: tuple[Member, ...]
    loops: bool


class Program:
    """What is prepared once for a graph, and read by any number of simulators (from several threads, too).

    Args:
        graph: A verified graph.

    Raises:
        BackendError: The graph holds a kind of population or synapse that is not known here.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.links = links(graph)
        self.stages = [self._stage(names) for names in stages(graph)]
        self.activation_types = activation_types(graph)
        self.widest_bytes = max(p.size * np.dtype(self.activation_types[p.name]).itemsize for p in graph.populations)
        self.longest_delay: dict[tuple[str, bool], int] = {}
        for link in self.links:
            reading = (link.synapse.source, link.ends.binary)
            self.longest_delay[reading] = max(self.longest_delay.get(reading, 0), link.longest)

    def _stage(self, names: tuple[str, ...]) -> Stage:
        def member(name: str) -> Member:
            into = [link for link in self.links if link.synapse.target == name]
            within = tuple(link for link in into if link.synapse.source in names)
            return Member(self.graph.population(name), tuple(link for link in into if link not in within), within)

        return Stage(tuple(member(name) for name in names), loops(self.graph, names))


class Simulator:
    """Runs a batch of independent samples through a graph; memory depends on batch and chunk, not on time.

    Args:
        program: The prepared graph.
        batch: Number of samples.
        chunk_steps: Most steps that `advance` takes at once.
        record: Keep the states after each step of a chunk, for `states`.

    Example:
        >>> from pumice.ir.builder import chain
        >>> simulator = Simulator(Program(chain((4,), [3, 2], seed=0)), batch=5, chunk_steps=10)
        >>> simulator.advance(np.ones((10, 5, 4), np.int32))
        >>> simulator.sent("dense1").shape
        (10, 5, 2)
    """

    def __init__(self, program: Program, batch: int, chunk_steps: int, *, record: bool = False) -> None:
        self._program = program
        self._graph = program.graph
        self.batch = batch
        self._chunk_steps = chunk_steps
        self._t = 1
        self._first = self._stop = 0
        self._neurons: dict[str, AbstractNeurons[Any]] = {p.name: neurons(p, batch) for p in self._graph.populations}
        self._values: dict[str, Frames] = {}
        self._spikes: dict[str, Frames] = {}
        sizes = {self._graph.input.name: self._graph.input.size} | {p.name: p.size for p in self._graph.populations}
        for name, size in sizes.items():
            values, spikes = (program.longest_delay.get((name, binary)) for binary in (False, True))
            if sends_values(self._graph, name):
                self._values[name] = Frames(size, values or 0, chunk_steps, batch, np.int32)
            if not sends_values(self._graph, name) or spikes is not None:
                self._spikes[name] = Frames(size, spikes or 0, chunk_steps, batch, np.int8)
        self._shared = np.zeros(chunk_steps * batch * program.widest_bytes, np.uint8)
        self._activation = {
            member.population.name: {part: self._room(stage, member.population) for part in member.population.parts}
            for stage in program.stages
            for member in stage.members
        }
        trace_steps = chunk_steps if record else 0
        self._traces = {
            p.name: {state: np.zeros((trace_steps, batch, p.size), np.int32) for state in p.states}
            for p in self._graph.populations
        }

    def _room(self, stage: Stage, p: Population) -> Array:
        """Activation; layers that run one after the other share one piece of memory."""
        shape, dtype = (self._chunk_steps, self.batch, p.size), self._program.activation_types[p.name]
        if stage.loops or len(p.parts) > 1:
            return np.zeros(shape, dtype)
        return self._shared[: int(np.prod(shape)) * np.dtype(dtype).itemsize].view(dtype).reshape(shape)

    def clear(self) -> None:
        """Back to rest, before step 1."""
        self._t, self._first, self._stop = 1, 0, 0
        for population in self._neurons.values():
            population.clear()
        for frames in self._all_frames():
            frames.clear()

    def advance(self, x: Array) -> None:
        """Take the next steps.

        Args:
            x: Values of the input, shape (steps, batch, *input shape), 1 <= steps <= chunk_steps, in int32.
        """
        if self._stop + len(x) > self._chunk_steps:
            for frames in self._all_frames():
                frames.forget(self._stop)
            self._stop = 0
        self._first, self._stop = self._stop, self._stop + len(x)
        self._write_input(x.reshape(*x.shape[:2], -1))
        for stage in self._program.stages:
            self._run(stage)
        self._t += len(x)

    def sent(self, name: str) -> Array:
        """What left a population in the last `advance`: shape (steps, batch, n); overwritten by the next one."""
        frames = self._values.get(name) or self._spikes[name]
        return frames.at(self._first, self._stop)[..., : frames.n]

    def states(self, name: str) -> dict[str, Array]:
        """A population's states after each step of the last `advance`; empty without `record`."""
        return {state: trace[self._first : self._stop] for state, trace in self._traces[name].items()}

    def _all_frames(self) -> Iterator[Frames]:
        yield from self._values.values()
        yield from self._spikes.values()

    def _write_input(self, x: Array) -> None:
        name, n = self._graph.input.name, self._graph.input.size
        if name in self._values:
            self._values[name].at(self._first, self._stop)[..., :n] = x
        if name in self._spikes:
            self._spikes[name].at(self._first, self._stop)[..., :n] = x != 0

    def _run(self, stage: Stage) -> None:
        first, stop = self._first, self._stop
        for member in stage.members:
            for activation in self._activation[member.population.name].values():
                activation[first:stop] = 0
            self._add(member.population, member.from_before, first, stop)
        steps = ((t, t + 1) for t in range(first, stop)) if stage.loops else ((first, stop),)
        for start, end in steps:
            for member in stage.members:
                self._add(member.population, member.from_within, start, end)
                self._fire(member.population, start, end)

    def _add(self, p: Population, arriving: tuple[Link, ...], first: int, stop: int) -> None:
        for link in arriving:
            frames = (self._spikes if link.ends.binary else self._values)[link.synapse.source]
            link.add(frames, self._activation[p.name][link.synapse.part], first, stop)

    def _fire(self, p: Population, first: int, stop: int) -> None:
        frames = self._values.get(p.name) or self._spikes[p.name]
        sent = frames.at(first, stop)
        self._neurons[p.name].advance(
            self._t + first - self._first,
            {part: activation[first:stop] for part, activation in self._activation[p.name].items()},
            sent,
            {state: trace[first:stop] for state, trace in self._traces[p.name].items()},
        )
        if p.name in self._values and p.name in self._spikes:
            self._spikes[p.name].at(first, stop)[..., : p.size] = sent[..., : p.size] != 0
