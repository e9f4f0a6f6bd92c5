from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs, find_processes
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.process import LIF

from pumice.backends.lava import GraphProcess, LavaBackend
from pumice.backends.lava.compiling import compiled, connected, known_models, remember_models
from pumice.ir.builder import chain
from pumice.testing import cases, example

pytestmark = pytest.mark.lava


class Probe(AbstractProcess):
    """Reads a variable, and receives nothing."""

    def __init__(self, neurons):
        super().__init__()
        self.state = RefPort(shape=neurons.v.shape)
        self.state.connect_var(neurons.v)


@implements(proc=Probe, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyProbe(PyLoihiProcessModel):
    state: Any = LavaPyType(PyRefPort.VEC_DENSE, np.int32)


def network(seed):
    graph, _ = example(cases(8, n_steps=4, longest_delay=9), seed)
    populations = GraphProcess(graph).populations
    probe = Probe(next(p for p in populations.values() if isinstance(p, LIF)))
    return [*populations.values(), probe]


@pytest.mark.parametrize("seed", range(3))
def test_processes_are_those_that_lava_finds(seed):
    processes = network(seed)
    for start in processes[-2:]:
        assert connected(start)[0] is start
        assert set(connected(start)) == set(find_processes(start))
    assert processes[-1] in connected(processes[0])


def test_a_chain_may_be_longer_than_pythons_stack():
    neurons = [LIF(shape=(1,)) for _ in range(1100)]
    for source, target in pairwise(neurons):
        source.s_out.connect(target.a_in)
    assert connected(neurons[0]) == neurons
    with pytest.raises(RecursionError):
        find_processes(neurons[0])


def test_what_one_run_has_found_the_next_one_knows(monkeypatch):
    def searched(process):
        raise AssertionError(f"the models of {type(process).__name__} are looked for again")

    graph, x = chain((4,), [3], seed=0), np.ones((3, 4), int)
    spikes = LavaBackend(in_threads=True).run(graph, x).spikes
    for kind, models in known_models().items():
        assert models
        assert all(model.implements_process is kind for model in models)
    monkeypatch.setattr(ProcGroupDiGraphs, "_find_proc_models", staticmethod(searched))
    np.testing.assert_array_equal(LavaBackend(in_threads=True).run(graph, x).spikes, spikes)


def test_only_models_of_lava_and_pumice_are_remembered(monkeypatch):
    """Files of others may change between two runs."""
    asked = []

    def find(process):
        asked.append(type(process))
        return [PyProbe] if isinstance(process, Probe) else lava_finds(process)

    lava_finds = ProcGroupDiGraphs._find_proc_models
    monkeypatch.setattr(ProcGroupDiGraphs, "_find_proc_models", staticmethod(find))
    before = dict(known_models())
    known_models().clear()
    try:
        for _ in range(2):
            compiled(Probe(LIF(shape=(1,))), Loihi2SimCfg(select_tag="fixed_pt"))
        assert sorted(map(repr, asked)) == sorted(map(repr, [LIF, Probe, Probe]))
        assert Probe not in known_models()
    finally:
        known_models().clear()
        remember_models(before)
