"""`GraphProcess` is a Lava process like any other: it is wired between a user's own, probed, and stopped."""

import logging
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.process import Conv as LavaConv
from lava.proc.dense.process import DelayDense
from lava.proc.dense.process import Dense as LavaDense
from lava.proc.io import sink, source
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.monitor.process import Monitor
from lava.proc.rf.process import RF
from lava.proc.rf_iz.process import RF_IZ
from lava.proc.sdn.process import Delta as LavaDelta
from lava.proc.sdn.process import Sigma as LavaSigma
from lava.proc.sdn.process import SigmaDelta as LavaSigmaDelta
from lava.proc.sparse.process import DelaySparse
from lava.proc.sparse.process import Sparse as LavaSparse

from pumice.backends import get_backend
from pumice.backends.lava import GraphProcess
from pumice.ir import Conv, Cuba, Dense, Graph, Input, OneToOne, Resonator
from pumice.ir.builder import chain, even_weights
from pumice.testing import example, graphs

pytestmark = pytest.mark.lava

STEPS = 8
CONFIG = {"condition": RunSteps(STEPS), "run_cfg": Loihi2SimCfg(select_tag="fixed_pt")}


@pytest.fixture(autouse=True)
def root_logger_is_restored():
    """Each Lava process adds a handler to the root logger."""
    before = list(logging.getLogger().handlers)
    yield
    logging.getLogger().handlers[:] = before


ON_CHIP = {
    LIF, LIFReset, LavaSigma, LavaDelta, LavaSigmaDelta, RF, RF_IZ,
    LavaDense, LavaSparse, LavaConv, DelayDense, DelaySparse,
}  # fmt: skip


def image_graph() -> Graph:
    """The input feeds a convolution and, flattened, a dense synapse; both targets feed one population."""
    rng = np.random.default_rng(3)
    populations = (Cuba("conv", (3, 2, 2), 150), Cuba("dense", (5,), 200, v_decay_q12=100), Cuba("out", (4,), 300))
    synapses = (
        Conv("input", "conv", weight=even_weights(rng, (2, 2, 2, 1))),
        Dense("input", "dense", weight=even_weights(rng, (5, 12)), delay_steps=np.arange(12)),
        Dense("conv", "out", weight=even_weights(rng, (4, 12))),
        Dense("dense", "out", weight=even_weights(rng, (4, 5)), delay_steps=2),
    )
    return Graph(Input("input", (4, 3, 1)), populations, synapses, ("out",))


def test_between_lavas_own_source_and_sink_with_a_monitor():
    graph = image_graph()
    x = np.random.default_rng(4).integers(0, 2, size=(STEPS, 4, 3, 1))
    expected = get_backend("reference").run(graph, x, record=True)
    process = GraphProcess(graph)
    recorder, monitor = sink.RingBuffer(shape=process.out.shape, buffer=STEPS), Monitor()
    source.RingBuffer(data=np.moveaxis(x, 0, -1)).s_out.connect(process.inp)
    process.out.connect(recorder.a_in)
    monitor.probe(process.populations["dense"].v, STEPS)
    process.run(**CONFIG)
    try:
        spikes = recorder.data.get().T
        probed = monitor.get_data()["dense"]["v"]
    finally:
        process.stop()
    assert expected.spikes.any()
    np.testing.assert_array_equal(spikes, expected.spikes)
    np.testing.assert_array_equal(probed, expected.records["dense"].v)


def test_several_outputs_and_a_monitor_on_an_inner_resonator():
    graph = image_graph()
    ring = Resonator("ring", (4, 3, 1), vth=100, sin_decay=2000, cos_decay=3000)
    graph = graph.replace(
        populations=(*graph.populations, ring),
        synapses=(*graph.synapses, OneToOne("input", "ring", weight=100, part="imag", delay_steps=2)),
        outputs=("out", "conv"),
    )
    x = np.random.default_rng(4).integers(0, 2, size=(STEPS, 4, 3, 1))
    expected = get_backend("reference").run(graph, x, record=True)
    process, monitor = GraphProcess(graph), Monitor()
    recorders = {name: sink.RingBuffer(shape=port.shape, buffer=STEPS) for name, port in process.outs.items()}
    source.RingBuffer(data=np.moveaxis(x, 0, -1)).s_out.connect(process.inp)
    for name, recorder in recorders.items():
        process.outs[name].connect(recorder.a_in)
    monitor.probe(process.populations["ring"].imag, STEPS)
    process.run(**CONFIG)
    try:
        sent = {name: np.moveaxis(recorder.data.get(), -1, 0) for name, recorder in recorders.items()}
        probed = monitor.get_data()["ring"]["imag"]
    finally:
        process.stop()
    assert list(sent) == ["out", "conv"]
    for name, spikes in sent.items():
        assert spikes.any()
        np.testing.assert_array_equal(spikes, expected.outputs[name])
    imag = expected.records["ring"].states["imag"]
    assert imag.any()
    np.testing.assert_array_equal(probed.reshape(imag.shape), imag)  # Lava's monitor flattens images


def test_the_process_tree_has_only_processes_that_the_chip_has():
    """What Lava's compiler maps to models, of random graphs that together have every kind of synapse and neuron."""
    leaves = set()
    for seed in range(3):
        process = GraphProcess(example(graphs(13), seed))
        feed = source.RingBuffer(data=np.zeros((*process.inp.shape, 1), int))  # Lava follows connections
        feed.s_out.connect(process.inp)
        leaves |= {type(leaf) for leaf in feed.compile(CONFIG["run_cfg"]).proc_builders if leaf is not feed}
    assert leaves == ON_CHIP


def test_between_a_users_own_processes(tmp_path, monkeypatch):
    """An own encoder, two graphs one after the other with an own process between them, and an own decoder."""
    (tmp_path / "users_processes.py").write_text(textwrap.dedent(USERS_PROCESSES))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    import users_processes as user

    first, second = chain((3,), [4], seed=1, vth_mant=100), chain((4,), [2], seed=2, vth_mant=100)
    encoder, inverter, decoder = user.Counter((3,)), user.Inverter((4,)), user.Decoder((2,), STEPS)
    one, two = GraphProcess(first), GraphProcess(second)
    encoder.s_out.connect(one.inp)
    one.out.connect(inverter.s_in)
    inverter.s_out.connect(two.inp)
    two.out.connect(decoder.s_in)
    encoder.run(**CONFIG)
    try:
        spikes = decoder.spikes.get()
    finally:
        encoder.stop()

    reference = get_backend("reference")
    x = np.array([[(t + i) % 2 for i in range(3)] for t in range(STEPS)])
    between = 1 - reference.run(first, x).spikes
    expected = reference.run(second, between).spikes
    assert expected.any()
    np.testing.assert_array_equal(spikes, expected)


USERS_PROCESSES = """
    import numpy as np
    from lava.magma.core.decorator import implements, requires, tag
    from lava.magma.core.model.py.model import PyLoihiProcessModel
    from lava.magma.core.model.py.ports import PyInPort, PyOutPort
    from lava.magma.core.model.py.type import LavaPyType
    from lava.magma.core.process.ports.ports import InPort, OutPort
    from lava.magma.core.process.process import AbstractProcess
    from lava.magma.core.process.variable import Var
    from lava.magma.core.resources import CPU
    from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

    class Counter(AbstractProcess):
        def __init__(self, shape):
            super().__init__()
            self.s_out = OutPort(shape)

    class Inverter(AbstractProcess):
        def __init__(self, shape):
            super().__init__()
            self.s_in, self.s_out = InPort(shape), OutPort(shape)

    class Decoder(AbstractProcess):
        def __init__(self, shape, steps):
            super().__init__()
            self.s_in, self.spikes = InPort(shape), Var((steps, *shape), 0)

    @implements(proc=Counter, protocol=LoihiProtocol)
    @requires(CPU)
    @tag("fixed_pt")
    class PyCounter(PyLoihiProcessModel):
        s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

        def run_spk(self):
            self.s_out.send((self.time_step - 1 + np.arange(3)) % 2)

    @implements(proc=Inverter, protocol=LoihiProtocol)
    @requires(CPU)
    @tag("fixed_pt")
    class PyInverter(PyLoihiProcessModel):
        s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
        s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

        def run_spk(self):
            self.s_out.send(1 - self.s_in.recv())

    @implements(proc=Decoder, protocol=LoihiProtocol)
    @requires(CPU)
    @tag("fixed_pt")
    class PyDecoder(PyLoihiProcessModel):
        s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
        spikes: np.ndarray = LavaPyType(np.ndarray, np.int32)

        def run_spk(self):
            self.spikes[self.time_step - 1] = self.s_in.recv()
"""


def test_a_sum_beyond_32_bits_raises_if_numpy_is_told_to():
    """In a process of its own, because Lava's runtime does not clean up behind a model that raised."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(OVERFLOWING)], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.split() == ["ran", "raised"], done.stderr


OVERFLOWING = """
    import numpy as np
    from pumice.backends.lava import GraphProcess
    from pumice.ir import Conv, Cuba, Delta, Direct, Graph, Input
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.source import RingBuffer

    image = (2, 2, 2)
    conv = Conv("d", "n", graded=True, weight=np.full((2, 1, 1, 2), 2**15 - 1))
    populations = Delta("d", image, vth=0), Cuba("n", image, 5)
    graph = Graph(Input("input", image), populations, (Direct("input", "d", graded=True), conv), ("n",))
    for invalid in ("ignore", "raise"):
        process = GraphProcess(graph)
        RingBuffer(data=np.full((*image, 3), 2**12)).s_out.connect(process.inp)
        try:
            with np.errstate(invalid=invalid):
                process.run(condition=RunSteps(3), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
            print("ran")
            process.stop()
        except RuntimeError:
            print("raised")
"""
