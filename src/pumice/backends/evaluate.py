"""Whole test sets through the fast backend: predictions, and what they cost in spikes and synaptic events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends import get_backend
from pumice.backends.base import AbstractBackend
from pumice.backends.fast.batch import check_threads, compile_loops, simulate
from pumice.backends.fast.kernels.events import count_active
from pumice.backends.fast.program import Program
from pumice.backends.fast.simulator import Simulator
from pumice.backends.labelled import own_steps, sample_batches
from pumice.backends.verify import first_difference
from pumice.errors import CheckFailedError, InputError
from pumice.ir import (
    Accumulator,
    Graph,
    Population,
    Sigma,
    from_stream,
    latencies,
    remembers,
    to_stream,
    verify_graph,
)

IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a graph answered, and how busy it was.

    Attributes:
        labels: Given, shape (n,); or targets, (n, numbers) or (n, numbers, steps).
        predictions: Of the first output, shape (n,): the class with the most spikes in the sample (of equal counts
            the first); of an output that sends values, the one with the largest at the sample's last step, or, of a
            `Sigma` and an `Accumulator` that leaks, with the largest sum over its steps. With another `readout`, the
            neuron with the largest state. Where there are targets, the numbers that were answered, of the targets'
            shape: what the output sends, in its unit (`graph.info["unit"]`, 1 if none is given), at each step or on
            the mean. Where samples are of unequal length, only a sample's own steps count, and its last step is its
            own last one.
        spikes: For the input and each population, events (spikes, or non-zero values) per sample, shape (n,); also
            those behind a shorter sample's end, which a chip computes and pays for.
        neuron_spikes: The same per neuron over all samples, shape (size,) in C order.
        synaptic_events: For each synapse "source -> target", weights that were used per sample, shape (n,): each
            event counts once for every non-zero weight that it meets.
        checked: For each other backend, on how many values it was found equal.
        seconds: Time of the simulation alone.
        prepare_seconds: Time before it, in the first run of such a network mostly that of compiling loops, which are
            kept for the next run.
        lengths: Steps of each sample that count, shape (n,); None where all do.
    """

    labels: npt.NDArray[Any]
    predictions: npt.NDArray[Any]
    spikes: Mapping[str, IntArray]
    synaptic_events: Mapping[str, IntArray]
    checked: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    prepare_seconds: float = 0.0
    lengths: npt.NDArray[np.int64] | None = None
    neuron_spikes: Mapping[str, IntArray] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """Share of samples whose prediction is the label.

        Raises:
            InputError: There are targets, no classes.
        """
        if self.has_targets:
            raise InputError("there is no accuracy: the samples have targets, numbers; see `error`")
        return float(np.mean(self.predictions == self.labels))

    @property
    def has_targets(self) -> bool:
        """Whether numbers were answered, not classes."""
        return self.labels.ndim > 1

    @property
    def error(self) -> float:
        """Root of the mean squared error of the numbers that were answered."""
        squares = np.square(self.predictions - self.labels)
        if squares.ndim == 3 and self.lengths is not None:
            squares = _mean_over_own(squares, self.lengths)
        return float(np.sqrt(squares.reshape(len(squares), -1).mean(1).mean()))


def evaluate(
    graph: Graph,
    dataset: Iterable[tuple[Any, ...]],
    *,
    check: Mapping[Any, int] | None = None,
    readout: str | None = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Run every sample of a dataset from rest and count what happens.

    A sample alone gives what it gives in a stream of samples, as the graph's resets clear all states between them;
    the samples of `check` are streamed back to back, so that this is seen (but through a graph without resets, see
    `pumice.ir.remembers`).

    Args:
        graph: With a timing: it says how long a sample is, and how long its run.
        dataset: Pairs (stream, label): integers of shape (T, *input shape) in Lava's order, and a class or an array
            of targets; or triples with the steps that are the sample's own, where samples are of unequal length and
            padded behind: of n steps that enter, the n that leave after the network's latency answer. Anything that
            yields them: ``zip(x, labels)``, ``zip(x, labels, lengths)``, a generator, a torch `Dataset`.
        check: Backend (as for `pumice.verify`) -> number of samples: the first ones are also run there, and every
            neuron's s and states compared at every step; {"lava": 4}, for example.
        readout: What of the first output answers: "sent" (spikes or values, see `Evaluation`), or the name of one of
            its states at the sample's last step, such as "v" of neurons that were trained by their voltage ("voltage"
            and "current" stand for "v" and "u").
        threads: At most so many; by default one per core.
        progress: Called with the number of samples done so far.

    Raises:
        InputError: There is no sample, the graph states no timing, a sample or label does not fit, `check` does not
            say how many samples a backend runs, or the output has no such state.
        CheckFailedError: Another backend differs.

    Example:
        >>> from pumice.ir import Timing
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 2], seed=0).replace(timing=Timing(sample_steps=5, period_steps=5))
        >>> result = evaluate(graph, [(np.ones((5, 4), int), 1), (np.zeros((5, 4), int), 0)])
        >>> result.spikes["input"].tolist(), result.synaptic_events["input -> dense0"].tolist()
        ([20, 0], [60, 0])
    """
    verify_graph(graph)
    check_threads(threads)
    if graph.timing is None:
        raise InputError("this graph states no sample length; give it a timing: graph.replace(timing=Timing(...))")
    wanted = _wanted(check)
    counter = _Counter(graph, threads, _state_of(graph, readout))
    first_samples: list[IntArray] = []
    labels: list[Any] = []
    lengths: list[int] = []
    for batch in sample_batches(graph, dataset):
        x = np.stack([sample for sample, _, _ in batch])
        own = np.array([n for _, _, n in batch])
        counter.run(x, own)
        labels += [label for _, label, _ in batch]
        lengths += own.tolist()
        missing = max((n for _, n in wanted), default=0) - len(first_samples)
        first_samples += list(x[: max(missing, 0)])
        if progress is not None:
            progress(len(labels))
    if not labels:
        raise InputError("the dataset holds no sample")
    checked = {
        other.name: _checked(graph, other, np.stack(first_samples[:n]), counter.outputs) for other, n in wanted
    }
    if len({np.shape(label) for label in labels}) > 1:
        raise InputError("some samples have a class, others an array of targets, or targets of another shape")
    given, counted = np.array(labels), np.array(lengths)
    all_count = bool((counted == graph.timing.sample_steps).all())
    return Evaluation(
        labels=given,
        predictions=_answered(graph, counter, given, counted) if given.ndim > 1 else counter.classes(),
        spikes={name: np.concatenate(parts) for name, parts in counter.spikes.items()},
        synaptic_events={name: np.concatenate(parts) for name, parts in counter.synaptic_events.items()},
        checked=checked,
        seconds=counter.seconds,
        prepare_seconds=counter.prepare_seconds,
        lengths=None if all_count else counted,
        neuron_spikes=counter.neuron_spikes,
    )


def _wanted(check: Any) -> list[tuple[AbstractBackend, int]]:
    """`check` as given by the user, before the work."""
    if check is None:
        return []
    if not isinstance(check, Mapping):
        raise InputError(f"check must say how many samples a backend runs, as in {{'lava': 4}}; got {check!r}")
    wanted = []
    for chosen, n in check.items():
        backend = get_backend(chosen)
        if not isinstance(n, int | np.integer) or n < 1:
            raise InputError(f"check[{backend.name!r}] must be a number of samples, at least 1, got {n!r}")
        wanted.append((backend, int(n)))
    return wanted


def _state_of(graph: Graph, readout: str | None) -> str | None:
    if readout in {None, "sent"}:
        return None
    state = {"voltage": "v", "current": "u"}.get(str(readout), readout)
    if state not in graph.output.states:
        raise InputError(
            f"readout {readout!r}: the output {graph.output.name!r}, a {type(graph.output).__name__}, has the states "
            f'{", ".join(graph.output.states)}; or read what it sends: "sent"'
        )
    return state


def _answered(
    graph: Graph, counter: _Counter, targets: npt.NDArray[Any], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """What the output sends as numbers: (n, neurons, steps), or (n, neurons) on the mean over its own steps."""
    if counter.state is not None:
        raise InputError("readout: targets are compared with what the output sends; leave it out")
    sent = np.concatenate(counter.outputs).swapaxes(1, 2) * _unit(graph)
    answered: npt.NDArray[np.float64] = sent if targets.ndim == 3 else _mean_over_own(sent, lengths)
    if answered.shape != targets.shape:
        raise InputError(
            f"the output answers numbers of shape {answered.shape[1:]}, the targets are {targets.shape[1:]}"
        )
    return answered


def _unit(graph: Graph) -> float:
    """What one of the output's integers stands for."""
    text = graph.info.get("unit", "1")
    try:
        unit = float(text)
    except ValueError:
        unit = 0.0
    if not 0 < unit < np.inf:
        raise InputError(f"the graph's info says that its unit is {text[:40]!r}, and it must be a number > 0")
    return unit


def _mean_over_own(x: npt.NDArray[np.float64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Mean of x (n, neurons, steps) over each sample's own steps."""
    if (lengths == x.shape[2]).all():
        return x.mean(-1)
    return (x * own_steps(lengths, x.shape[2])[:, None]).sum(-1) / lengths[:, None]


class _Counter:
    """Runs batches, and keeps of each sample only sums."""

    def __init__(self, graph: Graph, threads: int | None, state: str | None) -> None:
        assert graph.timing is not None
        self.state = state
        self._graph, self._timing, self._threads = graph, graph.timing, threads
        began = time.perf_counter()
        self._program = Program(graph)
        self._lag = latencies(graph)
        self._is_sum = graph.output.sends_values and not _answers_in_each_step(graph.output)
        self._sizes = {graph.input.name: graph.input.size} | {p.name: p.size for p in graph.populations}
        self.scores: list[IntArray] = []
        self.outputs: list[IntArray] = []
        self.spikes: dict[str, list[IntArray]] = {name: [] for name in self._sizes}
        self.synaptic_events: dict[str, list[IntArray]] = {_label(link.synapse): [] for link in self._program.links}
        self.neuron_spikes = {name: np.zeros(size, np.int64) for name, size in self._sizes.items()}
        self.seconds = 0.0
        compile_loops(self._program, record=state is not None)
        self.prepare_seconds = time.perf_counter() - began

    def classes(self) -> IntArray:
        """Of each sample the neuron with the largest score."""
        return np.argmax(np.concatenate(self.scores), axis=1)

    def run(self, x: IntArray, lengths: npt.NDArray[np.int64]) -> None:
        """x: (n, sample_steps, *input shape), of which (n,) steps count."""
        n = len(x)
        t = self._timing
        n_steps = t.lead_steps + t.period_steps + max(self._lag.values())
        padded = np.zeros((n, n_steps, *x.shape[2:]), x.dtype)
        padded[:, t.lead_steps : t.lead_steps + t.sample_steps] = x
        counts = {name: np.zeros((n, size), np.int32) for name, size in self._sizes.items()}
        output = np.zeros((n, t.sample_steps, self._graph.output.size), np.int32)
        held = np.zeros(output.shape if self.state is not None else (0,), np.int32)

        def collect(samples: slice, start: int, stop: int, simulator: Simulator) -> None:
            for name, count in counts.items():
                first = t.lead_steps + self._lag.get(name, 0)
                part = slice(max(first - start, 0), max(min(first + t.period_steps, stop) - start, 0))
                count_active(simulator.sent(name)[part], count[samples])
            first = t.lead_steps + self._lag[self._graph.outputs[0]]
            low, high = max(first, start), min(first + t.sample_steps, stop)
            if low < high:
                part = slice(low - start, high - start)
                sent = simulator.sent(self._graph.outputs[0])[part]
                output[samples, low - first : high - first] = sent.swapaxes(0, 1)
                if self.state is not None:
                    trace = simulator.states(self._graph.outputs[0])[self.state][part]
                    held[samples, low - first : high - first] = trace.swapaxes(0, 1)

        began = time.perf_counter()
        simulate(self._program, padded, collect, record=self.state is not None, threads=self._threads)
        self.seconds += time.perf_counter() - began
        own = own_steps(lengths, t.sample_steps)[..., None]
        if self.state is not None or self._is_sum:
            self.scores.append((output if self.state is None else held)[np.arange(n), lengths - 1])
        else:
            self.scores.append(output.sum(1, dtype=np.int64, where=own))
        self.outputs.append(output)
        for name, count in counts.items():
            self.spikes[name].append(count.sum(1, dtype=np.int64))
            self.neuron_spikes[name] += count.sum(0, dtype=np.int64)
        events = {label: np.zeros(n, np.int64) for label in self.synaptic_events}
        for link in self._program.links:
            events[_label(link.synapse)] += counts[link.synapse.source].astype(np.int64) @ link.fan_out
        for label, per_sample in events.items():
            self.synaptic_events[label].append(per_sample)


def _answers_in_each_step(population: Population) -> bool:
    """Whether the reader has to add up what leaves: a value, or what a read-out forgets, at once or by and by."""
    return isinstance(population, Sigma) or (
        isinstance(population, Accumulator) and bool(np.all(np.asarray(population.v_decay_q12) > 0))
    )


def _label(synapse: Any) -> str:
    return f"{synapse.source} -> {synapse.target}"


def _checked(graph: Graph, backend: AbstractBackend, samples: IntArray, outputs: list[IntArray]) -> int:
    """Stream samples back to back through the fast backend and another, and compare all three."""
    if len(samples) > 1 and remembers(graph):
        answers = np.concatenate(outputs)
        return sum(_checked(graph, backend, samples[i : i + 1], [answers[i:]]) for i in range(len(samples)))
    stream = to_stream(graph, samples)
    fast = get_backend("fast").run(graph, stream, record=True)
    other = backend.run(graph, stream, record=True)
    difference = first_difference(fast.records, other.records)
    if difference is not None:
        raise CheckFailedError(f"backend {backend.name} differs from fast: {difference}")
    alone = np.concatenate(outputs)[: len(samples)]
    streamed = from_stream(graph, other.spikes, len(samples)).reshape(alone.shape)
    if len(places := np.argwhere(alone != streamed)):
        sample, step, neuron = (int(i) for i in places[0])
        raise CheckFailedError(
            f"sample {sample} alone differs from sample {sample} in a stream of samples: output neuron {neuron}, "
            f"step {step}: {alone[tuple(places[0])]} alone, {streamed[tuple(places[0])]} in the stream; "
            "the graph's resets do not separate its samples"
        )
    return sum(values.size for record in other.records.values() for values in record.values().values())
