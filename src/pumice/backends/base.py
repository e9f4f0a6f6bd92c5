"""What every backend is: something that runs a graph on an input stream and returns what each step gave."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from pumice.backends.counting import Counted, Counter, Wanted
from pumice.errors import BackendError, InputError, ResourceError
from pumice.files.limits import check_memory
from pumice.fixedpoint.formats import STATE
from pumice.hardware.profile import Profile
from pumice.ir import Graph, verify_graph
from pumice.ir.footprint import run_bytes
from pumice.names import counted

IntArray = npt.NDArray[np.integer[Any]]
RECORDED_BYTES = 1 << 28
"""Aim for the records of samples whose events are counted."""


@dataclass(frozen=True, eq=False)
class Record:
    """What one population did: arrays of shape (T, *shape), int32.

    Attributes:
        s: What left it: spikes 0 or 1, or graded values.
        states: Its states after each step, in the order of `Population.states`: "u" and "v" for CUBA neurons
            (v is 0 where the neuron fired).
    """

    s: IntArray
    states: Mapping[str, IntArray]

    @property
    def u(self) -> IntArray:
        """Current after each step (CUBA neurons)."""
        return self.states["u"]

    @property
    def v(self) -> IntArray:
        """Voltage after each step (CUBA neurons)."""
        return self.states["v"]

    def values(self) -> dict[str, IntArray]:
        """States and output by name, causes before effects."""
        return {**self.states, "s": self.s}

    def digest(self) -> str:
        """SHA-256 over the shape and the little-endian int32 bytes of s and each state."""
        sha = hashlib.sha256(repr(self.s.shape).encode())
        for array in (self.s, *self.states.values()):
            sha.update(np.ascontiguousarray(array, dtype="<i4").tobytes())
        return sha.hexdigest()


@dataclass(frozen=True, eq=False)
class RunResult:
    """The result of a run.

    Attributes:
        outputs: For each output population, what left it, shape (T, *shape), int32; index k is what leaves in
            Lava's time step k + 1.
        records: For each population, its `Record`, if recording was asked for.
        profile: Of a run on a chip: what was selected, compiled and measured; None elsewhere.
    """

    outputs: dict[str, IntArray]
    records: dict[str, Record] = field(default_factory=dict)
    profile: Profile | None = None

    @property
    def spikes(self) -> IntArray:
        """The first output's spikes."""
        return next(iter(self.outputs.values()))


class AbstractBackend(ABC):
    """A way to run a graph. All of them give equal integers at every neuron and step.

    Subclasses implement `_run`; `run` checks what enters.
    """

    name: ClassVar[str]

    def run(self, graph: Graph, x: IntArray, *, record: bool = False) -> RunResult:
        """Run `graph` from rest on the stream `x`.

        Args:
            graph: A graph; it is verified first.
            x: Integers of shape (T, *input shape), T >= 1; index k enters in Lava's time step k + 1. An input of
                shape (x, y, channel) may also be given flat, (T, features), channel slowest, as stock netx takes
                it behind a flatten layer.
            record: Also return s, u and v of every population at every step.

        Raises:
            GraphError: The graph is not valid.
            InputError: The stream does not fit the graph.
            BackendError: This backend cannot run this graph, or failed.
            ResourceError: The run would take, or takes, more memory than there is.
        """
        verify_graph(graph)
        _check_record(record)
        checked = checked_input(graph, x)
        with _memory(graph, len(checked), record):
            return self._checked(graph, self._run(graph, checked, record), (len(checked),), record=record)

    def run_batch(self, graph: Graph, x: IntArray, *, record: bool = False) -> RunResult:
        """Run independent samples, each from rest.

        Args:
            graph: A graph; it is verified first.
            x: Integers of shape (n, T, *input shape), n and T >= 1.
            record: Also return s and the states of every population.

        Returns:
            As of `run`, every array with a first axis of n.

        Raises:
            GraphError: The graph is not valid.
            InputError: The samples do not fit the graph.
            BackendError: This backend cannot run this graph, or failed.
            ResourceError: The run would take, or takes, more memory than there is.
        """
        verify_graph(graph)
        _check_record(record)
        array = as_array(x)
        if array.ndim < 2 or len(array) < 1:
            raise InputError(f"a batch must have shape (n, T, *input shape) with n >= 1, got {array.shape}")
        n, n_steps, *shape = array.shape
        checked = checked_input(graph, array.reshape(n * n_steps, *shape))
        with _memory(graph, n * n_steps, record):
            result = self._run_batch(graph, checked.reshape(n, n_steps, *checked.shape[1:]), record)
            return self._checked(graph, result, (n, n_steps), record=record)

    def _checked(self, graph: Graph, result: Any, axes: tuple[int, ...], *, record: bool) -> RunResult:
        """A backend of one's own may forget a step, or a population."""
        if not isinstance(result, RunResult):
            raise BackendError(f"backend {self.name} must give a RunResult, got {type(result).__name__}")
        wanted: list[tuple[str, Any, tuple[int, ...]]] = [
            (f"output {name!r}", result.outputs.get(name), graph.population(name).shape) for name in graph.outputs
        ]
        for p in graph.populations if record else ():
            values = result.records[p.name].values() if p.name in result.records else {}
            wanted += [(f"{what} of {p.name!r}", values.get(what), p.shape) for what in (*p.states, "s")]
        for what, values, shape in wanted:
            if getattr(values, "shape", None) != (*axes, *shape):
                got = "nothing" if values is None else f"shape {getattr(values, 'shape', None)}"
                raise BackendError(f"backend {self.name} must give {what} with shape {(*axes, *shape)}, got {got}")
        return result

    def _run_batch(self, graph: Graph, x: npt.NDArray[np.int32], record: bool) -> RunResult:
        """One after the other; backends that know better override it."""
        axes = x.shape[1:2]
        results = [self._checked(graph, self._run(graph, sample, record), axes, record=record) for sample in x]
        first = results[0]
        return RunResult(
            {name: np.stack([r.outputs[name] for r in results]) for name in first.outputs},
            {
                name: Record(
                    np.stack([r.records[name].s for r in results]),
                    {state: np.stack([r.records[name].states[state] for r in results]) for state in of_first.states},
                )
                for name, of_first in first.records.items()
            },
        )

    def counter(self, graph: Graph, wanted: Wanted) -> Counter:
        """What counts the events of samples, for `pumice.evaluate`; called with batch after batch.

        Args:
            graph: A verified graph.
            wanted: What is kept of a run.
        """
        return partial(self._counted, graph, wanted)

    def _counted(self, graph: Graph, wanted: Wanted, x: npt.NDArray[np.int32]) -> Counted:
        """Counts of recorded runs, of so many samples at a time as memory should be used for."""
        found = Counted.none(graph, wanted, len(x))
        group = max(1, RECORDED_BYTES // run_bytes(graph, wanted.n_steps, record=True))
        for start in range(0, len(x), group):
            part = slice(start, start + group)
            result = self.run_batch(graph, x[part], record=True)
            traces = {name: record.s for name, record in result.records.items()} | {graph.input.name: x[part]}
            for name, counts in found.events.items():
                trace = traces[name].reshape(*traces[name].shape[:2], -1)
                counts[part] = np.count_nonzero(trace[:, _slice(wanted.counted[name])], axis=1)
            output = result.records[graph.outputs[0]]
            found.sent[part] = output.s[:, _slice(wanted.answer)].reshape(found.sent[part].shape)
            if found.held is not None and wanted.state is not None:
                found.held[part] = output.states[wanted.state][:, _slice(wanted.answer)].reshape(
                    found.held[part].shape
                )
        return found

    @abstractmethod
    def _run(self, graph: Graph, x: npt.NDArray[np.int32], record: bool) -> RunResult:
        """Run a verified graph on a checked stream."""


def _check_record(record: object) -> None:
    if not isinstance(record, bool | np.bool_):
        raise InputError(f"record must be True, for every population, or False, got {record!r}")


@contextmanager
def _memory(graph: Graph, n_steps: int, record: bool) -> Iterator[None]:
    """Refuse a run that memory cannot hold before it starts, or name what ran out of it."""
    estimate = run_bytes(graph, n_steps, record=record)
    check_memory(f"a run of {counted(n_steps, 'step')}", estimate)
    try:
        yield
    except ResourceError:
        raise
    except MemoryError as error:
        raise ResourceError(
            f"there is not enough memory for a run of {counted(n_steps, 'step')} (about {estimate:,} bytes); run "
            "fewer steps or samples at once, or do not record"
        ) from error


def _slice(steps: range) -> slice:
    return slice(steps.start, steps.stop)


def first_sample(result: RunResult) -> RunResult:
    """Of the result of a batch, that of its first sample."""
    return RunResult(
        {name: sent[0] for name, sent in result.outputs.items()},
        {
            name: Record(r.s[0], {state: values[0] for state, values in r.states.items()})
            for name, r in result.records.items()
        },
    )


def checked_input(graph: Graph, x: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Give the stream its full shape and type, or say what is wrong with it."""
    array = as_array(x)
    shape = graph.input.shape
    if array.dtype.kind not in "biu":
        raise InputError(f"input must be integers (or bool), got {array.dtype}; encode or round it first")
    if len(shape) == 3 and array.ndim == 2 and array.shape[1] == graph.input.size:
        array = array.reshape(-1, *shape[::-1]).transpose(0, 3, 2, 1)
    if array.ndim != len(shape) + 1 or array.shape[1:] != shape:
        fix = ""
        if array.shape[:-1] == shape[::-1]:
            fix = "; time is last there, as in PyTorch: give its axes in reverse, numpy.asarray(x).T"
        elif array.ndim == len(shape) + 2:
            fix = '; a batch goes in sample by sample, or in PyTorch\'s order by pumice.run(..., layout="torch")'
        raise InputError(f"input must have shape (T, {', '.join(map(str, shape))}), got {array.shape}{fix}")
    if len(array) < 1:
        raise InputError("input has no time step; at least one is needed")
    check_values(graph, array)
    return array.astype(np.int32)


def as_array(x: npt.ArrayLike) -> npt.NDArray[Any]:
    """What was given as an array of NumPy, or say that it is none."""
    if np.ma.is_masked(x):
        raise InputError("input has masked values, and a step needs a value in each place; fill them first")
    try:
        return np.asarray(x)
    except (ValueError, TypeError) as error:
        raise InputError(f"input must be an array of integers, got {type(x).__name__}: {error}") from error


def check_values(graph: Graph, array: npt.NDArray[Any]) -> None:
    """Refuse values that the input cannot hold, or was not made for: what is proved of sums relies on it.

    0 may always enter: between samples nothing comes.
    """
    low, high = int(array.min()), int(array.max())
    if low < STATE.low or high > STATE.high:
        raise InputError(f"input values must fit 24 bits signed, got {low} to {high}")
    allowed = graph.input.value_range
    if allowed is not None and (low < min(0, allowed[0]) or high > max(0, allowed[1])):
        raise InputError(f"the network was made for input values {allowed[0]}..{allowed[1]}, got {low} to {high}")
