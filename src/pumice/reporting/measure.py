"""Run a network's samples and look at what happens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends import AnyBackend, get_backend
from pumice.backends.compare import compare_records
from pumice.backends.evaluate import Evaluation, evaluate
from pumice.backends.verify import verify
from pumice.errors import CheckFailedError
from pumice.fixedpoint.weights import stored_bits
from pumice.ir import Graph, Input, Population, Synapse, latencies, remembers, to_stream
from pumice.names import counted
from pumice.planner import plan
from pumice.reporting.findings import Comparison, Findings, LayerFacts, ShownSample, Source, SynapseFacts

IntArray = npt.NDArray[np.integer[Any]]

SATURATED = 0.95
"""A neuron that fires in a larger share of all steps says next to nothing."""
CANDIDATES = 32
"""So many of the first samples are kept, to choose from what is shown."""
KEPT_VALUES = 10_000_000
HISTOGRAM_PARTS = 24
COMPARED_SYNAPSES = 3e8
"""So many connections and steps of the reference, which is slow, are waited for."""


class _Kept:
    """The first samples that passed by, as many as memory should be used for."""

    def __init__(self, graph: Graph) -> None:
        assert graph.timing is not None
        size = graph.timing.sample_steps * graph.input.size
        self._most = max(1, min(CANDIDATES, KEPT_VALUES // size))
        self.samples: list[IntArray] = []

    def passing(self, pairs: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        for pair in pairs:
            if len(self.samples) < self._most:
                self.samples.append(np.asarray(pair[0], np.int32))
            yield pair


def measure(
    source: Source, *, limit: int, shown: int, check: Sequence[AnyBackend] = (), readout: str = "sent"
) -> Findings:
    """Run at most `limit` samples, look at `shown` of them closely, and hold backends against the reference.

    Args:
        source: With a graph that states its timing, and samples.
        limit: Of the samples that run.
        shown: How many samples are recorded step by step.
        check: Backends to be held against the reference, besides the fast one.
        readout: See `pumice.evaluate`.

    Raises:
        PumiceError: A sample does not fit, or a backend cannot run the graph.
    """
    graph = source.graph
    assert source.pairs is not None
    kept = _Kept(graph)
    evaluation = evaluate(graph, kept.passing(islice(source.pairs, limit)), readout=readout)
    chosen = choose(evaluation, len(kept.samples), shown)
    samples = np.stack([kept.samples[i] for i in chosen])
    recorded = record_samples(graph, samples)
    certificate, holds = _certificate(source.certified)
    return Findings(
        source=source,
        evaluation=evaluation,
        layers=tuple(_layers(graph, evaluation, recorded)),
        synapses=tuple(_synapse(s) for s in graph.synapses if s.weights.size),
        shown=tuple(
            ShownSample(
                i,
                _title(source, evaluation, i),
                {name: spikes[k] for name, (spikes, _) in recorded.items()},
                {name: {q: v[k] for q, v in states.items()} for name, (_, states) in recorded.items()},
            )
            for k, i in enumerate(chosen)
        ),
        comparisons=(*source.comparisons, *compared_backends(graph, samples, check)),
        certificate=certificate,
        certificate_holds=holds,
        plan=plan(graph.replace(info={**graph.info, "name": source.title}), _stream(graph, samples)),
    )


def choose(evaluation: Evaluation, n: int, shown: int) -> list[int]:
    """Of the first n samples: up to half that were mistaken, the first of each kind first.

    Example:
        >>> found = Evaluation(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]), {}, {})
        >>> choose(found, 4, 2)
        [0, 2]
    """
    order = list(range(n))
    if not evaluation.has_targets:
        wrong = [i for i in order if evaluation.predictions[i] != evaluation.labels[i]][: shown // 2]
        order = [i for i in order if i not in wrong]
        return sorted(order[: shown - len(wrong)] + wrong)
    return order[:shown]


def record_samples(graph: Graph, samples: IntArray) -> dict[str, tuple[IntArray, dict[str, IntArray]]]:
    """Each sample from rest: for the input and each population that has a latency, what was sent, and the states.

    Args:
        graph: States its timing.
        samples: Shape (n, T, *input shape).

    Returns:
        Arrays of shape (n, T, *shape), from the step on in which the sample reaches the population.
    """
    t = graph.timing
    assert t is not None
    lag = latencies(graph)
    steps = t.lead_steps + max(lag.values()) + t.sample_steps
    padded = np.zeros((len(samples), steps, *graph.input.shape), np.int32)
    padded[:, t.lead_steps : t.lead_steps + t.sample_steps] = samples
    records = get_backend("fast").run_batch(graph, padded, record=True).records
    found: dict[str, tuple[IntArray, dict[str, IntArray]]] = {graph.input.name: (samples, {})}
    for name, record in records.items():
        if name in lag:
            window = slice(t.lead_steps + lag[name], t.lead_steps + lag[name] + t.sample_steps)
            found[name] = record.s[:, window], {state: v[:, window] for state, v in record.states.items()}
    return found


def compared_backends(graph: Graph, samples: IntArray, check: Sequence[AnyBackend] = ()) -> Iterator[Comparison]:
    """The fast backend, and others, against the reference: every spike and state of some samples, back to back.

    Args:
        graph: States its timing.
        samples: Shape (n, T, *input shape); of a large network fewer are run.
        check: The others.
    """
    work = sum(s.connections(*graph.ends_of(s)) for s in graph.synapses) * samples.shape[1]
    n = 1 if remembers(graph) else int(np.clip(COMPARED_SYNAPSES // max(work, 1), 1, len(samples)))
    stream = to_stream(graph, samples[:n])
    expected = get_backend("reference").run(graph, stream, record=True).records
    for backend in dict.fromkeys(("fast", *check)):
        other = get_backend(backend)
        got = other.run(graph, stream, record=True).records
        yield Comparison("the reference", f"the {other.name} backend", n, compare_records(expected, got))


def _stream(graph: Graph, samples: IntArray) -> IntArray:
    return to_stream(graph, samples[:1] if remembers(graph) else samples)


def _certificate(graph: Graph) -> tuple[str | None, bool]:
    if graph.certificate is None:
        return None, True
    steps = len(graph.certificate.x)
    try:
        (count,) = verify(graph, ("fast",)).values()
    except CheckFailedError as error:
        return str(error), False
    return f"its recorded run of {counted(steps, 'step')} is reproduced: {counted(count, 'integer')}, all equal", True


def _layers(
    graph: Graph, evaluation: Evaluation, recorded: dict[str, tuple[IntArray, dict[str, IntArray]]]
) -> Iterator[LayerFacts]:
    assert graph.timing is not None
    steps = graph.timing.sample_steps
    n = len(evaluation.labels)
    possible = n * steps
    members: tuple[Input | Population, ...] = (graph.input, *graph.populations)
    for p in members:
        counts = evaluation.neuron_spikes[p.name]
        spikes = evaluation.spikes[p.name]
        fires = not getattr(p, "sends_values", p is graph.input)
        bias = getattr(p, "bias_mant", None)
        states = recorded[p.name][1] if p.name in recorded else {}
        yield LayerFacts(
            name=p.name,
            kind="input" if p is graph.input else type(p).__name__,
            shape=p.shape,
            spikes=float(spikes.mean()),
            rate=float(counts.sum() / (possible * counts.size)),
            dead=int((counts == 0).sum()),
            saturated=int((counts >= SATURATED * possible).sum()) if fires else None,
            threshold=getattr(p, "vth_mant", None),
            bias=None if bias is None else (int(np.min(bias)), int(np.max(bias))),
            largest={state: int(np.abs(values.astype(np.int64)).max(initial=0)) for state, values in states.items()},
        )


def _synapse(s: Synapse) -> SynapseFacts:
    weights = np.asarray(s.weights, np.int64).reshape(-1)
    low, high = int(weights.min()), int(weights.max())
    parts = min(HISTOGRAM_PARTS, high - low + 1)
    return SynapseFacts(
        source=s.source,
        target=s.target,
        kind=type(s).__name__,
        count=weights.size,
        zeros=int((weights == 0).sum()),
        low=low,
        high=high,
        distinct=len(np.unique(weights)),
        exponent=s.shift_bits,
        bits=stored_bits(weights),
        histogram=tuple(int(c) for c in np.histogram(weights, bins=parts, range=(low, high + 1))[0]),
    )


def _title(source: Source, evaluation: Evaluation, index: int) -> str:
    if not source.has_labels:
        return f"sample {index}"
    if evaluation.has_targets:
        wanted, got = (_numbers(values[index]) for values in (evaluation.labels, evaluation.predictions))
        return f"sample {index}: {wanted}, answered {got}"
    names = [source.class_name(int(values[index])) for values in (evaluation.labels, evaluation.predictions)]
    return f"sample {index}: “{names[0]}”, answered “{names[1]}”" + ("" if names[0] == names[1] else ", a mistake")


def _numbers(values: npt.NDArray[Any]) -> str:
    flat = np.asarray(values).mean(-1) if np.ndim(values) > 1 else np.asarray(values)
    return ", ".join(f"{v:.4g}" for v in flat[:3]) + (" …" if len(flat) > 3 else "")
