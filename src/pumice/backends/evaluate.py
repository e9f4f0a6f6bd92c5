"""Whole test sets through a backend: predictions, and what they cost in spikes and synaptic events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends import DEFAULT, AnyBackend, get_backend
from pumice.backends.base import AbstractBackend
from pumice.backends.counting import Wanted
from pumice.backends.fast import FastBackend
from pumice.backends.labelled import sample_batches
from pumice.backends.totals import Totals, mean_over_own
from pumice.backends.verify import first_difference
from pumice.errors import CheckFailedError, InputError
from pumice.ir import Graph, from_stream, remembers, to_stream, verify_graph
from pumice.ir.stream import timing_of

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
            squares = mean_over_own(squares, self.lengths)
        return float(np.sqrt(squares.reshape(len(squares), -1).mean(1).mean()))


def evaluate(
    graph: Graph,
    dataset: Iterable[tuple[Any, ...]],
    *,
    backend: AnyBackend = DEFAULT,
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
        backend: What runs the samples, as for `pumice.run`: "torch", or `TorchBackend("cuda")`, on a GPU. All give
            the same integers.
        check: Backend (as for `pumice.verify`) -> number of samples: the first ones are also run there, and every
            neuron's s and states compared at every step; {"lava": 4}, for example.
        readout: What of the first output answers: "sent" (spikes or values, see `Evaluation`), or the name of one of
            its states at the sample's last step, such as "v" of neurons that were trained by their voltage ("voltage"
            and "current" stand for "v" and "u").
        threads: Of the fast backend, at most so many; by default one per core.
        progress: Called with the number of samples done so far.

    Raises:
        InputError: There is no sample or backend, the graph states no timing, a sample or label does not fit, `check`
            does not say how many samples a backend runs, or the output has no such state.
        CheckFailedError: Another backend differs.

    Example:
        >>> from pumice.ir import Timing
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 2], seed=0).replace(timing=Timing(sample_steps=5, period_steps=5))
        >>> result = evaluate(graph, [(np.ones((5, 4), int), 1), (np.zeros((5, 4), int), 0)])
        >>> result.spikes["input"].tolist(), result.synaptic_events["input -> dense0"].tolist()
        ([20, 0], [60, 0])
    """
    return Evaluator(graph, backend=backend, readout=readout, threads=threads)(
        dataset, check=check, progress=progress
    )


class Evaluator:
    """A graph that is prepared to be evaluated on one dataset after the other; arguments as of `evaluate`."""

    def __init__(
        self, graph: Graph, *, backend: AnyBackend = DEFAULT, readout: str | None = None, threads: int | None = None
    ) -> None:
        verify_graph(graph)
        self.graph, self._timing, self._state = graph, timing_of(graph), _state_of(graph, readout)
        chosen, began = _backend(backend, threads), time.perf_counter()
        self._wanted = Wanted.of(graph, self._timing, self._state)
        self._count = chosen.counter(graph, self._wanted)
        self.prepare_seconds = time.perf_counter() - began

    def __call__(
        self,
        dataset: Iterable[tuple[Any, ...]],
        *,
        check: Mapping[Any, int] | None = None,
        progress: Callable[[int], None] | None = None,
        first: int = 0,
    ) -> Evaluation:
        """See `evaluate`; `first` is the number of the first sample, for messages."""
        wanted = wanted_checks(check)
        totals = Totals(self.graph, self._wanted)
        first_samples: list[IntArray] = []
        labels: list[Any] = []
        lengths: list[int] = []
        seconds = 0.0
        for batch in sample_batches(self.graph, dataset, first):
            x = np.stack([sample for sample, _, _ in batch])
            own = np.array([n for _, _, n in batch])
            padded = self._padded(x)
            began = time.perf_counter()
            found = self._count(padded)
            seconds += time.perf_counter() - began
            totals.add(found, own)
            labels += [label for _, label, _ in batch]
            lengths += own.tolist()
            missing = max((n for _, n in wanted), default=0) - len(first_samples)
            first_samples += list(x[: max(missing, 0)])
            if progress is not None:
                progress(len(labels))
        if not labels:
            raise InputError("the dataset holds no sample")
        checked = {
            other.name: _checked(self.graph, other, np.stack(first_samples[:n]), totals.outputs)
            for other, n in wanted
        }
        if len({np.shape(label) for label in labels}) > 1:
            raise InputError("some samples have a class, others an array of targets, or targets of another shape")
        given, counted = np.array(labels), np.array(lengths)
        all_count = bool((counted == self._timing.sample_steps).all())
        return Evaluation(
            labels=given,
            predictions=totals.numbers(given, counted) if given.ndim > 1 else totals.classes(),
            spikes={name: np.concatenate(parts) for name, parts in totals.spikes.items()},
            synaptic_events={name: np.concatenate(parts) for name, parts in totals.synaptic_events.items()},
            checked=checked,
            seconds=seconds,
            prepare_seconds=self.prepare_seconds,
            lengths=None if all_count else counted,
            neuron_spikes=totals.neuron_spikes,
        )

    def _padded(self, x: IntArray) -> npt.NDArray[np.int32]:
        """Samples (n, sample_steps, *input shape) with what is silent before and behind them."""
        lead = self._timing.lead_steps
        padded = np.zeros((len(x), self._wanted.n_steps, *x.shape[2:]), np.int32)
        padded[:, lead : lead + self._timing.sample_steps] = x
        return padded


def wanted_checks(check: Any) -> list[tuple[AbstractBackend, int]]:
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


def _backend(chosen: AnyBackend, threads: int | None) -> AbstractBackend:
    """The backend, with its threads."""
    if threads is None:
        return get_backend(chosen)
    if chosen != "fast":
        raise InputError(f"threads belong to the fast backend, which makes them; leave them out with {chosen!r}")
    return FastBackend(threads=threads)


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
