"""One process with the fast kernels is the many processes: spikes at the same steps, also in loops outside."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io import sink, source
from lava.proc.lif.process import LIF
from lava.proc.monitor.process import Monitor

from pumice.backends import get_backend
from pumice.backends.fast import Simulator
from pumice.backends.lava import GraphProcess, LavaBackend, OneProcessCfg
from pumice.backends.lava.execute import execute
from pumice.backends.lava.memory import shared_array
from pumice.backends.lava.one_process import _OneProcessModel
from pumice.backends.lava.processes.stream import Source, SpikeRecorder
from pumice.backends.lava.supervise import Stall, supervise
from pumice.backends.verify import first_difference
from pumice.errors import BackendError
from pumice.ir import Cuba, Dense, Direct, Graph, Input
from pumice.ir.builder import chain
from pumice.testing import cases, example

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("kernels_are_loaded")]

STEPS = 40
MANY = Loihi2SimCfg(select_tag="fixed_pt")


@pytest.fixture(autouse=True)
def root_logger_is_restored():
    """Each Lava process adds a handler to the root logger."""
    before = list(logging.getLogger().handlers)
    yield
    logging.getLogger().handlers[:] = before


def direct_graph():
    """One output follows its input within the step, the other is a step behind."""
    rng = np.random.default_rng(0)
    a, b = Cuba("a", (3,), vth_mant=2, v_decay_q12=500), Cuba("b", (2,), vth_mant=40, v_decay_q12=100)
    synapses = (Direct("input", "a", graded=True), Dense("a", "b", weight=2 * rng.integers(-10, 30, (2, 3))))
    return Graph(Input("input", (3,)), (a, b), synapses, outputs=("a", "b"))


def run_in_a_loop(graph, run_cfg, stall_timeout_s=600.0):
    """Outside, the graph's output comes back as input in the same step, through a LIF of Lava's own."""
    rng = np.random.default_rng(1)
    x = (rng.random((STEPS, *graph.input.shape)) < 0.4).astype(np.int32)
    steps_done, spikes = shared_array((1,), np.int64), shared_array((STEPS, *graph.output.shape), np.int32)

    def work():
        process = GraphProcess(graph)
        outside = LIF(shape=graph.input.shape, du=4095, dv=200, vth=1)
        Source(x).s_out.connect(process.inp)
        process.out.connect(outside.a_in)
        outside.s_out.connect(process.inp)
        process.out.connect(SpikeRecorder(steps_done, spikes).s_in)
        execute(process, STEPS, run_cfg)

    supervise(work, Stall(steps_done, stall_timeout_s))
    return spikes.copy()


def test_a_loop_through_outside_processes():
    graph = chain((3,), [4, 3], seed=5)
    many, one = run_in_a_loop(graph, MANY), run_in_a_loop(graph, OneProcessCfg())
    np.testing.assert_array_equal(one, many)
    alone = (
        get_backend("reference").run(graph, (np.random.default_rng(1).random((STEPS, 3)) < 0.4).astype(int)).spikes
    )
    assert np.any(many != alone), "the loop has no effect"


def test_waiting_for_input_first_would_never_end(monkeypatch):
    """The planted defect of the loop."""

    def waits_first(self):
        x = self.inp.recv()
        self._simulator.begin_step()
        self._simulator.finish_step(x[None, None])
        self._send({**self._early, **self._late})

    monkeypatch.setattr(_OneProcessModel, "run_spk", waits_first)
    with pytest.raises(BackendError, match=r"no progress for 5 s after 0 time steps"):
        run_in_a_loop(chain((3,), [4, 3], seed=5), OneProcessCfg(), stall_timeout_s=5)


def between_source_and_sink(graph, x, run_cfg):
    """What Lava's own sinks receive from each output while its own source sends x."""
    process = GraphProcess(graph)
    sinks = {name: sink.RingBuffer(shape=port.shape, buffer=len(x)) for name, port in process.outs.items()}
    source.RingBuffer(data=x.T).s_out.connect(process.inp)
    for name, port in process.outs.items():
        port.connect(sinks[name].a_in)
    try:
        process.run(condition=RunSteps(len(x)), run_cfg=run_cfg)
        return {name: recorder.data.get().T for name, recorder in sinks.items()}
    finally:
        process.stop()


@pytest.mark.parametrize("graph", [direct_graph(), chain((3,), [4, 3], seed=5)], ids=["direct", "chain"])
def test_between_lavas_own_source_and_sink(graph):
    x = np.random.default_rng(2).integers(0, 4, (STEPS, 3))
    expected = get_backend("reference").run(graph, x).outputs
    for run_cfg in (OneProcessCfg(), MANY):
        got = between_source_and_sink(graph, x, run_cfg)
        for name, spikes in expected.items():
            np.testing.assert_array_equal(got[name], spikes, err_msg=name)
            assert spikes.any()


def test_values_beyond_the_promised_range():
    """Nothing checks what other Lava processes send; both models compute with it all the same."""
    graph = chain((3,), [4], seed=5)
    graded = replace(graph.synapses[0], graded=True)
    neurons = replace(graph.output, vth_mant=2**16)
    graph = graph.replace(input=Input("input", (3,), (0, 1)), synapses=(graded,), populations=(neurons,))
    x = np.random.default_rng(2).integers(-500, 1000, (STEPS, 3))
    expected = get_backend("reference").run(graph.replace(input=Input("input", (3,))), x).spikes
    assert expected.any()
    for run_cfg in (OneProcessCfg(), MANY):
        np.testing.assert_array_equal(between_source_and_sink(graph, x, run_cfg)["dense0"], expected)


def test_two_graphs_side_by_side():
    """One feeds the other; each is a process."""
    first, second = chain((3,), [4, 3], seed=5), chain((3,), [5, 2], seed=6)
    x = np.random.default_rng(3).integers(0, 2, (STEPS, 3))
    between = get_backend("reference").run(first, x).spikes
    expected = get_backend("reference").run(second, between).spikes
    assert expected.any()
    a, b = GraphProcess(first), GraphProcess(second)
    recorder = sink.RingBuffer(shape=(2,), buffer=STEPS)
    source.RingBuffer(data=x.T).s_out.connect(a.inp)
    a.out.connect(b.inp)
    b.out.connect(recorder.a_in)
    try:
        a.run(condition=RunSteps(STEPS), run_cfg=OneProcessCfg())
        np.testing.assert_array_equal(recorder.data.get().T, expected)
    finally:
        a.stop()


@pytest.mark.parametrize("case", range(3))
def test_random_graphs(case):
    graph, x = example(cases(30, n_steps=24, longest_delay=62), 500 + case)
    expected = get_backend("reference").run(graph, x, record=True)
    result = LavaBackend(one_process=True).run(graph, x, record=True)
    assert first_difference(expected.records, result.records) is None
    for name, sent in result.outputs.items():
        np.testing.assert_array_equal(sent, expected.outputs[name])


def test_a_late_input_is_found(monkeypatch):
    """The input of a step taken for the next one's."""
    finish = Simulator.finish_step
    monkeypatch.setattr(Simulator, "finish_step", lambda self, x: finish(self, 0 * x))
    graph, x = example(cases(30, n_steps=24), 500)
    expected = get_backend("reference").run(graph, x, record=True)
    result = LavaBackend(one_process=True).run(graph, x, record=True)
    assert first_difference(expected.records, result.records) is not None


def test_probed_populations_need_their_own_processes():
    graph = chain((3,), [4], seed=5)
    process, monitor = GraphProcess(graph), Monitor()
    source.RingBuffer(data=np.ones((3, 1), int)).s_out.connect(process.inp)
    monitor.probe(process.populations["dense0"].v, 2)
    with pytest.raises(BackendError, match="own processes are in use"):
        process.run(condition=RunSteps(2), run_cfg=OneProcessCfg())
