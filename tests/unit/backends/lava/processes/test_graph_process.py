"""How the process is put together; what it computes is in tests/contract."""

import pytest
from lava.proc.lif.process import LIFReset

from pumice.backends.lava import GraphProcess
from pumice.errors import GraphError
from pumice.ir import Accumulator, OneToOne, with_reset_schedule
from pumice.ir.builder import chain


def test_ports_and_populations():
    process = GraphProcess(with_reset_schedule(chain((4,), [3, 2], seed=0), 8))
    assert (process.inp.shape, process.out.shape) == ((4,), (2,))
    assert {name: (type(p), p.name) for name, p in process.populations.items()} == {
        "dense0": (LIFReset, "dense0"),
        "dense1": (LIFReset, "dense1"),
    }


def test_every_output_has_a_port_except_an_accumulator():
    graph = chain((4,), [3, 2], seed=0)
    read = Accumulator("read", (2,))
    graph = graph.replace(
        populations=(*graph.populations, read),
        synapses=(*graph.synapses, OneToOne("dense1", "read", weight=2)),
        outputs=("dense1", "read", "dense0"),
    )
    process = GraphProcess(graph)
    assert {name: port.shape for name, port in process.outs.items()} == {"dense1": (2,), "dense0": (3,)}
    assert process.out is process.outs["dense1"]
    assert set(process.out_ports.member_names) == {"out", "out2"}
    assert not hasattr(GraphProcess(graph.replace(outputs=("read",))), "out")


def test_graph_is_verified():
    with pytest.raises(GraphError, match="no output is named"):
        GraphProcess(chain((4,), [3], seed=0).replace(outputs=()))
