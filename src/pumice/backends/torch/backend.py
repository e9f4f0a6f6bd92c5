"""The torch backend: batch and time together where nothing loops, on any device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from pumice.backends.base import AbstractBackend, Record, RunResult, first_sample
from pumice.backends.counting import Counted, Counter, Wanted
from pumice.backends.fast.bounds import sends_values
from pumice.backends.fast.schedule import loops, stages
from pumice.backends.needed import Steps, needed_steps
from pumice.backends.torch.count import DeviceCounts
from pumice.backends.torch.exact import exact_arithmetic
from pumice.backends.torch.neurons import Neurons, neurons
from pumice.backends.torch.products import Arrival, arrivals
from pumice.errors import InputError
from pumice.ir import Graph

Array = npt.NDArray[Any]

FRAMES_BYTES = 1 << 30
"""Aim for what all populations of a group of samples send in a chunk of steps, and for their activations."""
LONGEST_CHUNK = 512


class TorchBackend(AbstractBackend):
    """Runs a graph in integers with torch; equal to the reference at every neuron and step, whatever the device.

    Products are computed in float32 or float64 where bounds prove every partial sum exact (see `products`), with
    TF32, autocast and their like switched off; neurons in 64-bit integers. On a GPU it is the way to evaluate large
    networks; on a CPU the fast backend, which walks over events, is usually faster.

    Args:
        device: "cpu", "cuda", ...; "auto" for CUDA where there is one.

    Raises:
        InputError: There is no such device.

    Example:
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 2], seed=0)
        >>> TorchBackend("cpu").run(graph, np.ones((5, 4), int)).spikes.shape
        (5, 2)
    """

    name = "torch"

    def __init__(self, device: str = "auto") -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.device = torch.device(device)
            torch.zeros(1, dtype=torch.float64, device=self.device)
        except (RuntimeError, AssertionError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"device {device!r} cannot be used: {reason}; use cpu, or auto") from error

    def _run(self, graph: Graph, x: npt.NDArray[np.int32], record: bool) -> RunResult:
        return first_sample(self._run_batch(graph, x[None], record))

    def _run_batch(self, graph: Graph, x: npt.NDArray[np.int32], record: bool) -> RunResult:
        names = [p.name for p in graph.populations if record or p.name in graph.outputs]
        traced = [p.name for p in graph.populations if record]
        parts = self._simulated(graph, x, traced, lambda n: _Kept(graph, names, traced, n, x.shape[1]))
        sent = {name: np.concatenate([part.sent[name] for part in parts]) for name in names}
        records = {
            p.name: Record(
                sent[p.name],
                {state: np.concatenate([part.states[p.name][state] for part in parts]) for state in p.states},
            )
            for p in graph.populations
            if record
        }
        return RunResult({name: sent[name] for name in graph.outputs}, records)

    def counter(self, graph: Graph, wanted: Wanted) -> Counter:
        """See `AbstractBackend.counter`; events are counted on the device."""
        return partial(self._counts_on_device, graph, wanted)

    def _counts_on_device(self, graph: Graph, wanted: Wanted, x: npt.NDArray[np.int32]) -> Counted:
        traced = [] if wanted.state is None else [graph.outputs[0]]
        steps = needed_steps(graph, wanted)
        sinks = self._simulated(graph, x, traced, lambda n: DeviceCounts(graph, wanted, n, self.device), steps)
        parts = [sink.done() for sink in sinks]
        return Counted(
            {name: np.concatenate([part.events[name] for part in parts]) for name in wanted.counted},
            np.concatenate([part.sent for part in parts]),
            None if wanted.state is None else np.concatenate([part.held for part in parts if part.held is not None]),
        )

    def _simulated(
        self,
        graph: Graph,
        x: npt.NDArray[np.int32],
        traced: Sequence[str],
        sink_for: Callable[[int], _AnySink],
        steps: Steps | None = None,
    ) -> list[_AnySink]:
        """Run samples in groups that fit into memory, each group into a sink of its own, made for so many samples.

        `steps` says which steps of populations are computed, all if not given.
        """
        n, n_steps = x.shape[:2]
        per_frame = 8 * (graph.input.size + sum(p.size for p in graph.populations))
        frames = max(1, FRAMES_BYTES // per_frame)
        chunk = min(n_steps, LONGEST_CHUNK, frames)
        group = max(1, min(n, frames // chunk))
        sinks = []
        with torch.no_grad(), exact_arithmetic():
            program = {
                p.name: [a for s in graph.into(p.name) for a in arrivals(graph, s, self.device)]
                for p in graph.populations
            }
            for start in range(0, n, group):
                samples = x[start : start + group]
                sinks.append(sink_for(len(samples)))
                _Simulation(graph, program, self.device, chunk, traced, steps or {}).run(samples, sinks[-1])
        return sinks


class _Sink(Protocol):
    """Takes what a group of samples does, chunk by chunk; values (steps, n, *shape), the first of step `start`."""

    def events(self, name: str, start: int, values: torch.Tensor) -> None:
        """Of the input or a population: what it sent."""

    def state(self, name: str, state: str, start: int, values: torch.Tensor) -> None:
        """Of a population that is traced: a state."""


_AnySink = TypeVar("_AnySink", bound=_Sink)


class _Kept:
    """All that some populations sent, and the states of those that are traced, as arrays (n, T, *shape)."""

    def __init__(self, graph: Graph, names: Sequence[str], traced: Sequence[str], n: int, n_steps: int) -> None:
        def room(name: str) -> Array:
            return np.zeros((n, n_steps, *graph.shape_of(name)), np.int32)

        self.sent = {name: room(name) for name in names}
        self.states = {name: {state: room(name) for state in graph.population(name).states} for name in traced}

    def events(self, name: str, start: int, values: torch.Tensor) -> None:
        """See `_Sink`."""
        if name in self.sent:
            self.sent[name][:, start : start + len(values)] = values.numpy(force=True).swapaxes(0, 1)

    def state(self, name: str, state: str, start: int, values: torch.Tensor) -> None:
        """See `_Sink`."""
        self.states[name][state][:, start : start + len(values)] = values.numpy(force=True).swapaxes(0, 1)


class _Simulation:
    """A group of samples, from rest.

    Args:
        graph: The graph.
        program: What arrives at each population.
        device: Where to.
        chunk: Most steps at once.
        traced: Populations whose states are told.
        steps: Of populations, which steps are computed; in others they send nothing.
    """

    def __init__(  # noqa: PLR0917
        self,
        graph: Graph,
        program: dict[str, list[Arrival]],
        device: torch.device,
        chunk: int,
        traced: Sequence[str],
        steps: Steps,
    ) -> None:
        self._steps = steps
        self._graph, self._program, self._device, self._chunk, self._traced = graph, program, device, chunk, traced
        self._history = dict.fromkeys([graph.input.name, *program], 0)
        for into in program.values():
            for arrival in into:
                name = arrival.synapse.source
                self._history[name] = max(self._history[name], arrival.delay)

    def run(self, x: Array, sink: _Sink) -> None:
        """Samples (n, T, *input shape)."""
        graph, (n, n_steps) = self._graph, x.shape[:2]
        cells = {p.name: neurons(p, n, self._device) for p in graph.populations}
        self._frames = {name: self._room(name, n) for name in self._history}
        order = [(stage, loops(graph, stage)) for stage in stages(graph)]
        for start in range(0, n_steps, self._chunk):
            stop = min(start + self._chunk, n_steps)
            size = stop - start
            shown = torch.as_tensor(np.ascontiguousarray(x[:, start:stop].swapaxes(0, 1))).to(self._device)
            self._now(graph.input.name, 0, size)[:] = shown
            for stage, is_loop in order:
                first, last = self._wanted_of(stage, start, size)
                traces = self._advance(stage, cells, start, range(first, last), is_loop=is_loop)
                for name, of_states in traces.items():
                    for state, values in of_states.items():
                        sink.state(name, state, start + first, values)
            for name in self._frames:
                sink.events(name, start, self._now(name, 0, size))
            for name, frames in self._frames.items():
                past = self._history[name]
                frames[:past] = frames[size : size + past].clone()

    def _room(self, name: str, n: int) -> torch.Tensor:
        dtype = torch.int32 if sends_values(self._graph, name) else torch.int8
        size = self._history[name] + self._chunk, n, *self._graph.shape_of(name)
        return torch.zeros(size, dtype=dtype, device=self._device)

    def _now(self, name: str, first: int, stop: int, delay: int = 0) -> torch.Tensor:
        """What left a source in steps of the chunk, or `delay` steps before them."""
        past = self._history[name] - delay
        return self._frames[name][past + first : past + stop]

    def _wanted_of(self, stage: tuple[str, ...], start: int, size: int) -> tuple[int, int]:
        """Which of a chunk's steps are computed of a stage; in the others silence is sent."""
        if not all(name in self._steps for name in stage):
            return 0, size
        first = min(max(min(self._steps[name].start for name in stage) - start, 0), size)
        stop = min(max(max(self._steps[name].stop for name in stage) - start, first), size)
        for name in stage:
            self._now(name, 0, first)[:] = 0
            self._now(name, stop, size)[:] = 0
        return first, stop

    def _advance(
        self, stage: tuple[str, ...], cells: dict[str, Neurons], start: int, steps: range, *, is_loop: bool
    ) -> dict[str, dict[str, torch.Tensor]]:
        """Take such steps of the chunk from step `start` on; return the states after each, where they are kept."""
        if not steps:
            return {}
        n, size, first = self._frames[self._graph.input.name].shape[1], len(steps), steps.start
        activation: dict[str, dict[str, torch.Tensor]] = {}
        for name in stage:
            p = self._graph.population(name)
            activation[name] = {
                part: torch.zeros(size, n, *p.shape, dtype=torch.int32, device=self._device) for part in p.parts
            }
            for arrival in self._program[name]:
                if arrival.synapse.source not in stage:
                    self._add(arrival, activation[name], steps, first)
        traces: dict[str, dict[str, list[torch.Tensor]]] = {
            name: {state: [] for state in self._graph.population(name).states}
            for name in stage
            if name in self._traced
        }
        for t in steps:
            for name in stage:
                for arrival in self._program[name] if is_loop else ():
                    if arrival.synapse.source in stage:
                        self._add(arrival, activation[name], range(t, t + 1), first)
                sums = {part: values[t - first] for part, values in activation[name].items()}
                self._now(name, t, t + 1)[0] = cells[name].step(start + t + 1, sums)
                for state, trace in traces.get(name, {}).items():
                    trace.append(cells[name].states[state].to(torch.int32))
        return {
            name: {state: torch.stack(trace) for state, trace in of_states.items()}
            for name, of_states in traces.items()
        }

    def _add(self, arrival: Arrival, activation: dict[str, torch.Tensor], steps: range, first: int) -> None:
        """Add what arrives in such steps of the chunk to an activation that begins at its step `first`."""
        values = self._now(arrival.synapse.source, steps.start, steps.stop, arrival.delay)
        values = values != 0 if arrival.binary else values
        first_channel, last_channel = arrival.channels
        added = arrival.added(values.flatten(0, 1)).unflatten(0, values.shape[:2])
        now = slice(steps.start - first, steps.stop - first)
        activation[arrival.synapse.part][now, ..., first_channel:last_channel] += added
