"""How the process is put together; what it computes is in tests/contract."""

import pytest
from lava.proc.conv.process import Conv as LavaConv
from lava.proc.dense.process import DelayDense
from lava.proc.dense.process import Dense as LavaDense
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sparse.process import DelaySparse

from pumice.backends.lava import GraphProcess
from pumice.errors import GraphError
from pumice.ir import with_reset_schedule
from pumice.ir.builder import chain
from pumice.testing import example, graphs

ON_CHIP = {LIF, LIFReset, LavaDense, LavaConv, DelayDense, DelaySparse}


def inner_processes(process: GraphProcess) -> set:
    found, waiting = set(), [population.a_in for population in process.populations.values()]
    while waiting:
        for port in waiting.pop().get_src_ports():
            if port.process not in found and port.process is not process:
                found.add(port.process)
                waiting += port.process.in_ports.members
    return found | set(process.populations.values())


def test_ports_and_populations():
    process = GraphProcess(with_reset_schedule(chain((4,), [3, 2], seed=0), 8))
    assert (process.inp.shape, process.out.shape) == ((4,), (2,))
    assert {name: (type(p), p.name) for name, p in process.populations.items()} == {
        "dense0": (LIFReset, "dense0"),
        "dense1": (LIFReset, "dense1"),
    }


@pytest.mark.parametrize("seed", range(5))
def test_only_processes_that_the_chip_has(seed):
    graph = example(graphs(), seed)
    graph = graph.replace(input=type(graph.input)("input", graph.input.shape, (0, 1)))
    types = {type(process) for process in inner_processes(GraphProcess(graph))}
    assert types <= ON_CHIP
    assert LIF in types or LIFReset in types


def test_graph_is_verified():
    with pytest.raises(GraphError, match="no output is named"):
        GraphProcess(chain((4,), [3], seed=0).replace(outputs=()))
