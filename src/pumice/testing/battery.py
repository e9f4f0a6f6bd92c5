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

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from pumice.backends import AbstractBackend, Record, get_backend
from pumice.backends.verify import first_difference
from pumice.errors import BackendError, GraphError, InputError
from pumice.ir import Graph, Input, Population, Synapse, verify_graph
from pumice.testing.battery_cases import (
    IN,
    SHAPE,
    Cases,
    binary_cases,
    population_cases,
    synapse_cases,
    threshold_cases,
    weight_cases,
)
from pumice.testing.battery_shapes import (
    PERIOD_STEPS,
    SAMPLE_STEPS,
    sample_graph,
    topology_cases,
    value_cases,
)

IntArray = npt.NDArray[np.integer[Any]]

STEPS = 24
LONG = 70
"""Longer than the longest delay."""
GRADED = ("plain", "_delays_and_balance", "weight_exp")
"""Delays do not depend on what is delayed, so values go through fewer of them than spikes."""


def _spikes(n_steps: int) -> IntArray:
    return (np.random.default_rng(0).random((n_steps, *SHAPE)) < 0.3).astype(np.int64)


def _values(limit: int, n_steps: int = STEPS) -> IntArray:
    rng = np.random.default_rng(1)
    shape = (n_steps, *SHAPE)
    return np.where(rng.random(shape) < 0.4, rng.integers(-limit, limit, size=shape), 0)


def _plain_cases() -> Cases:
    return _with_endings(synapse_cases(graded=False), ("plain",))


def _with_endings(cases: Cases, endings: tuple[str, ...]) -> Cases:
    return {name: graph for name, graph in cases.items() if name.endswith(endings)}


def _large_inputs() -> Cases:
    """24-bit values, for what is defined on them: on Lava a sum is 32 bits wide, a convolution's 24."""
    plain = {"dense_plain", "sparse_plain", "one_to_one_plain", "token_mixing_plain", "conv_plain", "dense_delays"}
    cases = {name: graph for name, graph in synapse_cases(graded=True).items() if name in plain}
    kinds = ("cuba_decays", "cuba_per_channel", "accumulator", "sigma", "resonator")
    return cases | {name: graph for name, graph in population_cases().items() if name.startswith(kinds)}


GROUPS: dict[str, tuple[Callable[[], Cases], Callable[[], IntArray]]] = {
    "synapses on spikes": (lambda: synapse_cases(graded=False), lambda: _spikes(LONG)),
    "synapses on values": (lambda: _with_endings(synapse_cases(graded=True), GRADED), lambda: _values(128)),
    "values that count as spikes": (_plain_cases, lambda: _values(128)),
    "weights and kernels": (weight_cases, lambda: _values(128)),
    "spikes only": (lambda: binary_cases() | threshold_cases(), lambda: _spikes(STEPS)),
    "populations": (population_cases, lambda: _values(128)),
    "wraps and clips": (_large_inputs, lambda: _values(2**17)),
    "24-bit input": (lambda: {"direct": weight_cases()["direct"]}, lambda: _values(2**23)),
    "topology": (topology_cases, lambda: _spikes(STEPS)),
    "values between populations": (value_cases, lambda: _values(128)),
}
"""What is packed into one graph: name -> (cases, stream)."""

EDGES: dict[str, IntArray] = {
    "silence": np.zeros((8, *SHAPE), np.int64),
    "all neurons spike": np.ones((12, *SHAPE), np.int64),
    "one step": np.ones((1, *SHAPE), np.int64),
}


def _edge_cases() -> Cases:
    kinds = ("cuba_reset_5_3", "accumulator_bias", "sigma", "delta_3_5", "sigma_delta_3_5", "resonator")
    populations = {name: graph for name, graph in population_cases().items() if name in kinds}
    return _plain_cases() | binary_cases() | populations | _small_cases()


def _small_cases() -> Cases:
    """What runs of any kind can be tried with."""
    return {name: topology_cases()[name] for name in ("two_outputs", "loop_of_two")}


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

    def test_samples_back_to_back(self) -> None:
        """Each population is reset when its next sample arrives; every sample is as if it came alone."""
        graph = sample_graph()
        if self._is_refused("samples", graph):
            return  # test_what_is_unsupported_is_refused runs it
        samples = _spikes(5 * PERIOD_STEPS).reshape(5, PERIOD_STEPS, *SHAPE)
        samples[:, SAMPLE_STEPS:] = 0
        stream = np.concatenate([*samples, np.zeros((graph.latency, *SHAPE), np.int64)])
        result = self.make_backend().run(graph, stream.copy(), record=True)
        self._expect({"samples": graph}, dict(result.records), _truth(graph, stream))
        last = np.concatenate([samples[-1], np.zeros((graph.latency, *SHAPE), np.int64)])
        alone = self.make_backend().run(graph, last).spikes[graph.latency :][:SAMPLE_STEPS]
        streamed = result.spikes[4 * PERIOD_STEPS + graph.latency :][:SAMPLE_STEPS]
        np.testing.assert_array_equal(streamed, alone)

    def test_a_backend_keeps_nothing_between_runs(self) -> None:
        """The second run of one backend object is like the first; neither changes its arguments."""
        graph = self._supported(_small_cases())
        x = _spikes(STEPS)
        before = x.copy()
        backend = self.make_backend()
        for _ in range(2):
            self._expect(_small_cases(), backend.run(graph, x, record=True).records, _truth(graph, x))
        np.testing.assert_array_equal(x, before)

    def test_what_a_run_returns(self) -> None:
        """Outputs in the graph's order, int32, whole; records only if asked for."""
        graph = self._supported(_small_cases())
        x = _spikes(5)
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
        graph = self._supported(_small_cases())
        bad: tuple[tuple[str, Graph, Any, type[Exception]], ...]
        promised = graph.replace(input=replace(graph.input, value_range=(0, 1)))
        good = _spikes(3)
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
                    self.make_backend().run(graph, _spikes(2))
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
    return verify_graph(Graph(Input(IN, SHAPE), tuple(populations), tuple(synapses), tuple(outputs)))


def digests() -> dict[str, str]:
    """What the reference answers in each group, population by population, as SHA-256 (see `Record.digest`)."""
    return {f"{group}: {name}": record.digest() for group in GROUPS for name, record in _group(group)[2].items()}


@cache
def _group(name: str) -> tuple[Cases, IntArray, dict[str, Record]]:
    """Cases, stream, and what the reference makes of them; recorded once, for all batteries."""
    make_cases, make_stream = GROUPS[name]
    cases, x = make_cases(), make_stream()
    return cases, x, _truth(packed(cases), x)


@cache
def _edge(name: str) -> tuple[Cases, IntArray, dict[str, Record]]:
    cases = _edge_cases()
    return cases, EDGES[name], _truth(packed(cases), EDGES[name])


def _truth(graph: Graph, x: IntArray) -> dict[str, Record]:
    return dict(get_backend("reference").run(graph, x, record=True).records)


def _first_steps(record: Record, n: int) -> Record:
    return Record(record.s[:n], {state: values[:n] for state, values in record.states.items()})


def _longest_delay(graph: Graph) -> int:
    return max((synapse.max_delay_steps for synapse in graph.synapses), default=0)


def _kinds(graph: Graph) -> set[type]:
    return {type(part) for part in (*graph.populations, *graph.synapses)}


def _all_cases() -> Cases:
    found: Cases = {"samples": sample_graph()}
    for group in GROUPS:
        found |= _group(group)[0]
    return found
