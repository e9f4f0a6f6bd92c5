"""A graph that runs: states of a batch of samples, advanced chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.base import as_array, check_values
from pumice.backends.fast.bounds import sends_values
from pumice.backends.fast.frames import Frames
from pumice.backends.fast.links import Link
from pumice.backends.fast.neurons import AbstractNeurons, neurons
from pumice.backends.fast.program import Member, Program, Stage
from pumice.backends.needed import Steps
from pumice.errors import InputError

Array = npt.NDArray[Any]
Activation = dict[str, dict[str, Array]]
"""Of each population, for each of its parts: shape (steps, batch, n)."""


class Simulator:
    """Runs a batch of independent samples through a graph; memory depends on batch and chunk, not on time.

    Args:
        program: The prepared graph.
        batch: Number of samples.
        chunk_steps: Most steps that `advance` takes at once.
        record: Keep the states after each step of a chunk, for `states`.
        steps: Of populations, which steps are computed, counted from 0; in others they send nothing, and their states
            are not told. By default all.

    Raises:
        BackendError: The graph holds a kind of population that is not known here.
        InputError: The batch or the chunk is none.

    Example:
        >>> from pumice.backends.fast import Program
        >>> from pumice.ir.builder import chain
        >>> simulator = Simulator(Program(chain((4,), [3, 2], seed=0)), batch=5, chunk_steps=10)
        >>> simulator.advance(np.ones((10, 5, 4), np.int32))
        >>> simulator.sent("dense1").shape
        (10, 5, 2)
    """

    def __init__(
        self, program: Program, batch: int, chunk_steps: int, *, record: bool = False, steps: Steps | None = None
    ) -> None:
        numbers = all(isinstance(n, int | np.integer) and n >= 1 for n in (batch, chunk_steps))
        if not (isinstance(program, Program) and numbers):
            raise InputError(
                "a Simulator needs a Program(graph), a batch >= 1 and chunk_steps >= 1, got "
                f"a {type(program).__name__}, {batch!r} and {chunk_steps!r}"
            )
        self.batch = batch
        self._steps = steps or {}
        self._program, self._graph = program, program.graph
        self._chunk_steps = chunk_steps
        self._t = 1
        self._first = self._stop = 0
        self._neurons: dict[str, AbstractNeurons[Any]] = {p.name: neurons(p, batch) for p in self._graph.populations}
        self._values: dict[str, Frames] = {}
        self._spikes: dict[str, Frames] = {}
        sizes = {self._graph.input.name: self._graph.input.size} | {p.name: p.size for p in self._graph.populations}
        for name, size in sizes.items():
            values, spikes = (program.longest_delay.get((name, binary)) for binary in (False, True))
            if values is not None or (sends_values(self._graph, name) and name != self._graph.input.name):
                self._values[name] = Frames(size, values or 0, chunk_steps, batch, np.int32)
            if spikes is not None or not sends_values(self._graph, name):
                self._spikes[name] = Frames(size, spikes or 0, chunk_steps, batch, np.int8)
        self._activation = {
            member.population.name: self._room(member, stage.tile_steps(batch, chunk_steps))
            for stage in program.stages
            for member in stage.members
        }
        self._records = record
        trace_steps = chunk_steps if record else 0
        self._traces = {
            p.name: {state: np.zeros((trace_steps, batch, p.size), np.int32) for state in p.states}
            for p in self._graph.populations
        }

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
            x: Values of the input, shape (steps, batch, *input shape), 1 <= steps <= chunk_steps: integers of at most
                24 bits, within the input's range.

        Raises:
            InputError: They are of another shape, no integers, or out of range.
        """
        x = as_array(x)
        shape = (self.batch, *self._graph.input.shape)
        if x.shape[1:] != shape or not 1 <= len(x) <= self._chunk_steps or x.dtype.kind not in "biu":
            raise InputError(
                f"the next steps must be integers (or bool) of shape (steps, {', '.join(map(str, shape))}) with 1 to "
                f"{self._chunk_steps} steps, got {x.dtype} of shape {x.shape}"
            )
        check_values(self._graph, x)
        self.advance_checked(x)

    def advance_checked(self, x: Array) -> None:
        """As `advance`, of values that were checked before."""
        self._move(len(x))
        self._write_input(x.reshape(*x.shape[:2], -1))
        self._run_all(self._program.stages)
        self._t += len(x)

    def begin_step(self) -> None:
        """Take the part of one step that does not depend on this step's input: all that is not fed by it directly.

        For a simulation that exchanges values with others step by step: what leaves in this step can be sent before
        the input is waited for. `finish_step` must follow.
        """
        self._move(1)
        self._run_all(self._program.before_input)

    def finish_step(self, x: Array) -> None:
        """Take the rest of the step, given its input, shape (1, batch, *input shape)."""
        self._write_input(x.reshape(1, self.batch, -1))
        self._run_all(self._program.after_input)
        self._t += 1

    def sent(self, name: str) -> Array:
        """What left a population in the last `advance`: shape (steps, batch, n); overwritten by the next one.

        Of the input: its values, or just whether they are not zero if no synapse looks at more.
        """
        frames = self._values.get(name) or self._spikes[name]
        return frames.at(self._first, self._stop)[..., : frames.n]

    def states(self, name: str) -> dict[str, Array]:
        """A population's states after each step of the last `advance`; empty without `record`."""
        return {state: trace[self._first : self._stop] for state, trace in self._traces[name].items()}

    def _move(self, n_steps: int) -> None:
        """Make room for the next steps."""
        if self._stop + n_steps > self._chunk_steps:
            for frames in self._all_frames():
                frames.forget(self._stop)
            self._stop = 0
        self._first, self._stop = self._stop, self._stop + n_steps

    def _run_all(self, stages: Sequence[Stage]) -> None:
        for stage in stages:
            tile_steps = stage.tile_steps(self.batch, self._chunk_steps)
            first, stop = self._wanted_of(stage)
            for start in range(first, stop, tile_steps):
                self._run(stage, start, min(start + tile_steps, stop))

    def _wanted_of(self, stage: Stage) -> tuple[int, int]:
        """Which of the chunk's steps are computed; in the others silence is sent."""
        names = [member.population.name for member in stage.members]
        if not all(name in self._steps for name in names):
            return self._first, self._stop
        now = self._t - 1 - self._first  # the step at the chunk's begin
        first = min(self._steps[name].start for name in names) - now
        stop = max(self._steps[name].stop for name in names) - now
        first = min(max(first, self._first), self._stop)
        stop = min(max(stop, first), self._stop)
        for name in names:
            for frames in (of[name] for of in (self._values, self._spikes) if name in of):
                frames.at(self._first, first)[:] = 0
                frames.at(stop, self._stop)[:] = 0
        return first, stop

    def _room(self, member: Member, steps: int) -> dict[str, Array]:
        p = member.population
        return {part: np.zeros((steps, self.batch, p.size), member.dtype) for part in p.parts}

    def _all_frames(self) -> Iterator[Frames]:
        yield from self._values.values()
        yield from self._spikes.values()

    def _write_input(self, x: Array) -> None:
        name, n = self._graph.input.name, self._graph.input.size
        if name in self._values:
            self._values[name].at(self._first, self._stop)[..., :n] = x
        if name in self._spikes:
            self._spikes[name].at(self._first, self._stop)[..., :n] = x != 0

    def _run(self, stage: Stage, first: int, stop: int) -> None:
        tile = {m.population.name: _part(self._activation[m.population.name], 0, stop - first) for m in stage.members}
        for member in stage.members:
            for activation in tile[member.population.name].values():
                activation[:] = 0
            self._add(member.from_before, tile, first, stop)
        if not stage.loops:
            self._fire(stage.members[0].population.name, tile, first, stop)
            return
        for t in range(first, stop):
            now = {name: _part(activation, t - first, t - first + 1) for name, activation in tile.items()}
            for member in stage.members:
                self._add(member.from_within, now, t, t + 1)
                self._fire(member.population.name, now, t, t + 1)

    def _add(self, arriving: tuple[Link, ...], activation: Activation, first: int, stop: int) -> None:
        for link in arriving:
            frames = (self._spikes if link.ends.binary else self._values)[link.synapse.source]
            link.add(frames, activation[link.synapse.target][link.synapse.part], first, stop)

    def _fire(self, name: str, activation: Activation, first: int, stop: int) -> None:
        sent = (self._values.get(name) or self._spikes[name]).at(first, stop)
        traces = _part(self._traces[name], first, stop) if self._records else self._traces[name]
        self._neurons[name].advance(self._t + first - self._first, activation[name], sent, traces)
        if name in self._values and name in self._spikes:
            n = self._spikes[name].n
            self._spikes[name].at(first, stop)[..., :n] = sent[..., :n] != 0


def _part(arrays: dict[str, Array], first: int, stop: int) -> dict[str, Array]:
    return {key: array[first:stop] for key, array in arrays.items()}
