"""One battery of tests for every backend, ours and others'.

Write a class of your own in a test file, and run it with pytest::

    from pumice.ir import Resonator
    from pumice.testing import BackendBattery

    class TestMyBackend(BackendBattery):
        unsupported = frozenset({Resonator})  # must raise BackendError, which is tested

        def make_backend(self):
            return MyBackend()

What a backend should do is recorded from the reference backend, at every neuron and step, in every state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from pumice.backends import AbstractBackend, Record, RunResult, get_backend
from pumice.backends.counting import Wanted
from pumice.backends.verify import first_difference
from pumice.errors import BackendError, GraphError, InputError
from pumice.ir import Graph, Population, Synapse, Timing, verify_graph
from pumice.testing.battery_cases import IN, SHAPE, Cases
from pumice.testing.battery_groups import (
    EDGES,
    GROUPS,
    MANY,
    PROMISES,
    STEPS,
    batch_cases,
    edge_cases,
    small_cases,
    spikes,
)
from pumice.testing.battery_shapes import PERIOD_STEPS, SAMPLE_STEPS, flat_cases, long_graph, sample_graph

IntArray = npt.NDArray[np.integer[Any]]
Recorded: TypeAlias = tuple[Cases, IntArray, dict[str, Record]]
"""Cases, their stream, and what the reference makes of them."""


class BackendBattery:
    """Subclass it as `Test...`, and say how to make the backend.

    Attributes:
        unsupported: What the backend cannot do: kinds of populations and synapses, or names of single cases.
            Each case that needs one of them must raise BackendError; the others are run.
    """

    unsupported: ClassVar[frozenset[type | str]] = frozenset()

    def make_backend(self) -> AbstractBackend:
        """A new backend."""
        raise NotImplementedError

    @pytest.mark.parametrize("group", GROUPS)
    def test_equals_the_reference(self, group: str) -> None:
        """Every state and every output of every neuron at every step.

        Only what is delayed for long is run for long.
        """
        cases, x, truth = _group(group)
        late = {name: graph for name, graph in cases.items() if _longest_delay(graph) >= STEPS}
        self._compare({name: graph for name, graph in cases.items() if name not in late}, x[:STEPS], truth)
        self._compare(late, x, truth)

    @pytest.mark.parametrize("edge", EDGES)
    def test_edges_of_the_input(self, edge: str) -> None:
        """Nothing, everything, and a single step."""
        self._compare(*_edge(edge))

    @pytest.mark.parametrize("promise", PROMISES)
    def test_what_the_input_promises(self, promise: str) -> None:
        """Sums may be held in what the range of the input says is enough; here they reach its ends."""
        self._compare(*_promise(promise))

    def test_a_long_stream(self) -> None:
        """More steps than are computed at a time: what is remembered from one piece to the next."""
        self._compare(*_long())

    def test_a_batch(self) -> None:
        """Each sample in its place, as if it came alone; with records, without, and as `pumice.evaluate` counts."""
        cases = batch_cases()
        graph = self._supported(cases)
        wanted = Wanted.of(graph, Timing(8, 10), state="v")
        x = spikes(3 * wanted.n_steps).reshape(3, wanted.n_steps, *SHAPE)
        x[0], x[1] = 1, 0  # much, then nothing: what is left of one sample shows in the next
        backend = self.make_backend()
        recorded, plain = (backend.run_batch(graph, x.copy(), record=record) for record in (True, False))
        for i, sample in enumerate(x):
            expected = _truth(graph, sample)
            self._expect(cases, _sample(recorded, i), expected)
            for name in graph.outputs:
                np.testing.assert_array_equal(plain.outputs[name][i], expected[name].s, f"sample {i}, output {name}")
        counters = (b.counter(graph, wanted) for b in (backend, get_backend("reference")))
        found, expected_counts = (count(x.astype(np.int32)) for count in counters)
        for name, counts in expected_counts.events.items():
            np.testing.assert_array_equal(found.events[name], counts, f"events of {name}")
        np.testing.assert_array_equal(found.sent, expected_counts.sent, "counter: what the first output sent")
        np.testing.assert_array_equal(found.held, expected_counts.held, "counter: the first output's state")  # type: ignore[arg-type]

    def test_samples_back_to_back(self) -> None:
        """Each population is reset when its next sample arrives; every sample is as if it came alone."""
        graph = sample_graph()
        if self._is_refused("samples", graph):
            return  # test_what_is_unsupported_is_refused runs it
        samples = spikes(5 * PERIOD_STEPS).reshape(5, PERIOD_STEPS, *SHAPE)
        samples[:, SAMPLE_STEPS:] = 0
        stream = np.concatenate([*samples, np.zeros((graph.latency, *SHAPE), np.int64)])
        result = self.make_backend().run(graph, stream.copy(), record=True)
        self._expect({"samples": graph}, dict(result.records), _truth(graph, stream))
        last = np.concatenate([samples[-1], np.zeros((graph.latency, *SHAPE), np.int64)])
        alone = self.make_backend().run(graph, last).spikes[graph.latency :][:SAMPLE_STEPS]
        streamed = result.spikes[4 * PERIOD_STEPS + graph.latency :][:SAMPLE_STEPS]
        np.testing.assert_array_equal(streamed, alone)

    def test_a_backend_keeps_nothing_between_runs(self) -> None:
        """A run of one backend object does not depend on those before, nor change their results or its arguments."""
        graph = self._supported(small_cases())
        x = spikes(STEPS)
        streams = x, 1 - x, x
        backend = self.make_backend()
        results = [backend.run(graph, stream, record=True) for stream in streams]
        np.testing.assert_array_equal(x, spikes(STEPS))
        for stream, result in zip(streams, results, strict=True):
            expected = _truth(graph, stream)
            self._expect(small_cases(), result.records, expected)
            for name in graph.outputs:
                np.testing.assert_array_equal(result.outputs[name], expected[name].s, f"output {name}")

    def test_what_a_run_returns(self) -> None:
        """Outputs in the graph's order, int32, whole; records only if asked for."""
        graph = self._supported(small_cases())
        x = spikes(5)
        expected = get_backend("reference").run(graph, x)
        for record in (False, True):
            result = self.make_backend().run(graph, x, record=record)
            assert list(result.outputs) == list(graph.outputs), f"outputs are {list(result.outputs)}"
            for name, values in result.outputs.items():
                assert values.dtype == np.int32, f"output {name} is {values.dtype}"
                np.testing.assert_array_equal(values, expected.outputs[name], err_msg=f"output {name}")
            recorded = [p.name for p in graph.populations] if record else []
            assert list(result.records) == recorded, f"records are {list(result.records)}"

    def test_bad_input_is_refused(self) -> None:
        """One clear error, before anything runs."""
        graph = self._supported(small_cases())
        bad: tuple[tuple[str, Graph, Any, type[Exception]], ...]
        promised = graph.replace(input=replace(graph.input, value_range=(0, 1)))
        good = spikes(3)
        backend = self.make_backend()
        bad = (
            ("another shape", graph, good[:, 1:], InputError),
            ("fractions", graph, good.astype(float), InputError),
            ("no step", graph, good[:0], InputError),
            ("more than 24 bits", graph, good + 2**23, InputError),
            ("values outside the promised range", promised, good + 1, InputError),
            ("a graph that is not valid", graph.replace(outputs=("nowhere",)), good, GraphError),
        )
        for what, bad_graph, x, error in bad:
            try:
                backend.run(bad_graph, x)
            except error:
                continue
            pytest.fail(f"{what}: must raise {error.__name__}")

    def test_what_is_unsupported_is_refused(self) -> None:
        """Each case that needs it raises BackendError, and every entry of `unsupported` is needed by some case."""
        cases = _all_cases()
        known = set(cases).union(*(_kinds(graph) for graph in cases.values()))
        unknown = self.unsupported - known
        assert not unknown, f"unsupported holds {unknown}, which no case needs"
        for name, graph in cases.items():
            if self._is_refused(name, graph):
                try:
                    self.make_backend().run(graph, np.ones((2, *graph.input.shape), np.int64))
                except BackendError:
                    continue
                pytest.fail(f"{name}: must raise BackendError, because it is unsupported")

    def _is_refused(self, name: str, graph: Graph) -> bool:
        return name in self.unsupported or bool(self.unsupported & _kinds(graph))

    def _supported(self, cases: Cases) -> Graph:
        kept = {name: graph for name, graph in cases.items() if not self._is_refused(name, graph)}
        assert kept, f"unsupported leaves none of {', '.join(cases)} to test with"
        return packed(kept)

    def _records(self, graph: Graph, x: IntArray) -> dict[str, Record]:
        return dict(self.make_backend().run(graph, x.copy(), record=True).records)

    def _compare(self, cases: Cases, x: IntArray, truth: dict[str, Record]) -> None:
        kept = {name: graph for name, graph in cases.items() if not self._is_refused(name, graph)}
        if kept:
            graph = packed(kept)
            expected = {p.name: _first_steps(truth[p.name], len(x)) for p in graph.populations}
            self._expect(kept, self._records(graph, x), expected)

    @staticmethod
    def _expect(cases: Iterable[str], got: dict[str, Record], expected: dict[str, Record]) -> None:
        """Fail with the first difference of each case."""
        assert list(got) == list(expected), f"the records are of {list(got)}, expected {list(expected)}"
        lines = []
        for case in cases:
            names = [n for n in expected if n.partition(".")[0] == case] or list(expected)
            difference = first_difference({n: expected[n] for n in names}, {n: got[n] for n in names})
            if difference is not None:
                lines.append(f"{case}: {difference}")
        if lines:
            pytest.fail("differs from the reference in\n  " + "\n  ".join(lines), pytrace=False)


def packed(cases: Cases) -> Graph:
    """One graph of all the cases side by side; each population's name starts with its case and a dot."""
    populations: list[Population] = []
    synapses: list[Synapse] = []
    outputs: list[str] = []
    for case, graph in cases.items():
        renamed = {IN: IN} | {p.name: f"{case}.{p.name}" for p in graph.populations}
        populations += [replace(p, name=renamed[p.name]) for p in graph.populations]
        synapses += [replace(s, source=renamed[s.source], target=renamed[s.target]) for s in graph.synapses]
        outputs += [renamed[name] for name in graph.outputs]
    source = next(iter(cases.values())).input
    return verify_graph(Graph(source, tuple(populations), tuple(synapses), tuple(outputs)))


def digests() -> dict[str, str]:
    """What the reference answers in each group, population by population, as SHA-256 (see `Record.digest`)."""
    return {f"{group}: {name}": record.digest() for group in GROUPS for name, record in _group(group)[2].items()}


@cache
def _group(name: str) -> Recorded:
    """Recorded once, for all batteries."""
    make_cases, make_stream = GROUPS[name]
    return _recorded(make_cases(), make_stream())


@cache
def _edge(name: str) -> Recorded:
    return _recorded(edge_cases(), EDGES[name])


@cache
def _promise(name: str) -> Recorded:
    make_cases, make_stream = PROMISES[name]
    return _recorded(make_cases(), make_stream())


@cache
def _long() -> Recorded:
    return _recorded({"long": long_graph()}, spikes(MANY))


def _recorded(cases: Cases, x: IntArray) -> Recorded:
    return cases, x, _truth(packed(cases), x)


def _sample(result: RunResult, i: int) -> dict[str, Record]:
    return {
        name: Record(record.s[i], {state: values[i] for state, values in record.states.items()})
        for name, record in result.records.items()
    }


def _truth(graph: Graph, x: IntArray) -> dict[str, Record]:
    return dict(get_backend("reference").run(graph, x, record=True).records)


def _first_steps(record: Record, n: int) -> Record:
    return Record(record.s[:n], {state: values[:n] for state, values in record.states.items()})


def _longest_delay(graph: Graph) -> int:
    return max((synapse.max_delay_steps + synapse.balance_steps for synapse in graph.synapses), default=0)


def _kinds(graph: Graph) -> set[type]:
    return {type(part) for part in (*graph.populations, *graph.synapses)}


def _all_cases() -> Cases:
    found: Cases = {"samples": sample_graph(), "long": long_graph(), **flat_cases()}
    for group in GROUPS:
        found |= _group(group)[0]
    return found
