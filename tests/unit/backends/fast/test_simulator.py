import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pumice.backends import get_backend
from pumice.backends.fast import FastBackend, Program, Simulator, batch
from pumice.backends.fast import program as stages
from pumice.errors import InputError
from pumice.ir import Cuba, Dense, Graph, Input, Reset, verify_graph
from pumice.ir.builder import chain
from pumice.machine import available_cores
from pumice.testing import cases, example


def loop_with_delays():
    rng = np.random.default_rng(0)
    a = Cuba("a", (6,), vth_mant=40, i_decay_q12=1000, v_decay_q12=300, reset=Reset(5, 2))
    b = Cuba("b", (4,), vth_mant=30, v_decay_q12=100, bias_mant=3)

    def dense(source, target, n_in, n_out, **more):
        return Dense(source, target, weight=rng.integers(-20, 60, (n_out, n_in)), **more)

    synapses = (
        dense("input", "a", 3, 6, delay_steps=np.array([0, 5, 62])),
        dense("a", "b", 6, 4, delay_steps=3),
        dense("b", "a", 4, 6, delay_steps=rng.integers(0, 9, (6, 4))),
    )
    return verify_graph(Graph(Input("input", (3,)), (a, b), synapses, outputs=("b",)))


@pytest.mark.parametrize("graph", [loop_with_delays(), chain((3,), [5, 4], seed=0)], ids=["loop", "chain"])
@given(cuts=st.lists(st.integers(1, 12), min_size=1, max_size=20))
@settings(max_examples=15)
def test_steps_may_come_in_any_portions(graph, cuts):
    """One step, or up to 12 at once: outputs and states do not depend on it."""
    rng = np.random.default_rng(len(cuts))
    x = (rng.random((sum(cuts), 2, 3)) < 0.4).astype(np.int32)
    simulator = Simulator(Program(graph), batch=2, chunk_steps=12, record=True)
    expected = [get_backend("reference").run(graph, x[:, i], record=True).records for i in range(2)]
    start = 0
    for n in cuts:
        simulator.advance(x[start : start + n])
        for p in graph.populations:
            for i, records in enumerate(expected):
                now = slice(start, start + n)
                np.testing.assert_array_equal(simulator.sent(p.name)[:, i], records[p.name].s[now])
                for state, trace in simulator.states(p.name).items():
                    np.testing.assert_array_equal(trace[:, i], records[p.name].states[state][now])
        start += n


def test_clear_begins_anew():
    graph = loop_with_delays()
    x = np.ones((8, 1, 3), np.int32)
    simulator = Simulator(Program(graph), batch=1, chunk_steps=8)
    simulator.advance(x)
    first = simulator.sent("b").copy()
    assert first.any()
    simulator.advance(x)
    assert not np.array_equal(simulator.sent("b"), first)
    simulator.clear()
    simulator.advance(x)
    np.testing.assert_array_equal(simulator.sent("b"), first)


@pytest.mark.parametrize(
    ("n", "steps"), [(1, 1), (257, 3), (1, 1000), pytest.param(1, 10_000, marks=pytest.mark.slow)]
)
def test_sizes(n, steps):
    """A batch of 257, a single step, and many of them."""
    graph = loop_with_delays()
    x = (np.random.default_rng(1).random((n, steps, 3)) < 0.2).astype(np.int64)
    result = FastBackend().run_batch(graph, x, record=True)
    for i in (0, n - 1):
        expected = get_backend("reference").run(graph, x[i], record=True).records
        for name, record in expected.items():
            np.testing.assert_array_equal(result.records[name].s[i], record.s)
            for state, values in record.states.items():
                np.testing.assert_array_equal(result.records[name].states[state][i], values)
    assert result.spikes.shape == (n, steps, 4)


def test_memory_does_not_grow_with_time():
    """Ten times the steps in the same portions: no further allocation that stays."""
    simulator = Simulator(Program(chain((64,), [200, 10], seed=0)), batch=4, chunk_steps=50)
    x = (np.random.default_rng(0).random((50, 4, 64)) < 0.3).astype(np.int32)

    def peak(n_chunks):
        simulator.clear()
        tracemalloc.start()
        for _ in range(n_chunks):
            simulator.advance(x)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2)  # compiles
    assert peak(100) < 1.1 * peak(10) + 10_000


def test_threads_share_the_samples():
    graph, x = example(cases(4, n_steps=10), 3)
    xs = np.stack([np.roll(x, i, axis=0) for i in range(9)])
    one, four = (FastBackend(threads=n).run_batch(graph, xs) for n in (1, 4))
    for name, sent in one.outputs.items():
        np.testing.assert_array_equal(sent, four.outputs[name])
    assert available_cores() >= 1


def test_tiles_hold_at_least_one_frame(monkeypatch):
    program = Program(chain((4,), [3], seed=0))
    monkeypatch.setattr(batch, "CHUNK_BYTES", 1)
    monkeypatch.setattr(stages, "TILE_BYTES", 1)
    assert batch.tiling(program, 10, 100, 2) == (1, 1)
    assert program.stages[0].tile_steps(10, 100) == 1


def test_a_batch_needs_samples():
    graph = chain((4,), [3], seed=0)
    with pytest.raises(InputError, match=r"batch must have shape \(n, T"):
        FastBackend().run_batch(graph, np.zeros((0, 5, 4), int))
    with pytest.raises(InputError, match="must have shape"):
        FastBackend().run_batch(graph, np.zeros((2, 5, 3), int))


def test_run_batch_of_any_backend_is_its_runs():
    graph = chain((4,), [3, 2], seed=0)
    x = (np.random.default_rng(0).random((3, 6, 4)) < 0.5).astype(int)
    by_default = get_backend("reference").run_batch(graph, x, record=True)
    fast = FastBackend().run_batch(graph, x, record=True)
    np.testing.assert_array_equal(by_default.spikes, fast.spikes)
    for name, record in by_default.records.items():
        for quantity, values in record.values().items():
            np.testing.assert_array_equal(values, fast.records[name].values()[quantity])


@pytest.mark.parametrize(
    ("x", "got"),
    [
        (np.full((3, 2, 4), 0.7), r"float64 of shape \(3, 2, 4\)"),
        (np.ones((3, 1, 4), int), r"int64 of shape \(3, 1, 4\)"),  # which numpy would repeat
        (np.ones((3, 2, 1), int), r"\(3, 2, 1\)"),
        (np.ones((3, 4), int), r"\(3, 4\)"),
        (np.ones((0, 2, 4), int), r"\(0, 2, 4\)"),
        (np.ones((6, 2, 4), int), r"\(6, 2, 4\)"),
    ],
)
def test_steps_of_another_shape_or_type_are_refused(x, got):
    simulator = Simulator(Program(chain((4,), [2], seed=0)), batch=2, chunk_steps=5)
    with pytest.raises(InputError, match=r"integers .* of shape \(steps, 2, 4\) with 1 to 5 steps, got .*" + got):
        simulator.advance(x)
    simulator.advance(np.ones((5, 2, 4), bool))


@pytest.mark.parametrize(
    ("value_range", "value", "message"),
    [
        ((0, 1), 300, r"made for input values 0\.\.1, got 300 to 300"),
        ((-3, 3), -4, r"made for input values -3\.\.3, got -4 to -4"),
        (None, 2**40, "fit 24 bits"),
        (None, -(2**23) - 1, "fit 24 bits"),
    ],
)
def test_values_that_no_proof_covers_are_refused(value_range, value, message):
    """Sums are held in as few bits as the promised range needs."""
    graph = chain((4,), [2], seed=0)
    graph = graph.replace(input=replace(graph.input, value_range=value_range))
    simulator = Simulator(Program(graph), batch=2, chunk_steps=5)
    with pytest.raises(InputError, match=message):
        simulator.advance(np.full((5, 2, 4), value))


def test_what_cannot_be_simulated_is_refused():
    graph = chain((4,), [2], seed=0)
    for made in (
        lambda: Simulator(graph, 1, 1),
        lambda: Simulator(Program(graph), 0, 1),
        lambda: Simulator(Program(graph), 1, 0),
        lambda: Simulator(Program(graph), 1.5, 1),
        lambda: Simulator(Program(graph), 1, "8"),
        lambda: Simulator(Program(graph), None, 1),
    ):
        with pytest.raises(InputError, match=r"needs a Program\(graph\), a batch >= 1 and chunk_steps >= 1, got"):
            made()
    with pytest.raises(InputError, match="a Graph is needed, got the path"):
        Program("a.net")
