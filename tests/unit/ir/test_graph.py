import pytest

from pumice.errors import GraphError
from pumice.ir.builder import chain


def test_a_graph_is_asked_by_name():
    graph = chain((4,), [3, 2], seed=0)
    assert graph.output.name == "dense1"
    assert graph.latency == 2
    assert graph.shape_of("input") == (4,)
    assert [s.source for s in graph.into("dense1")] == ["dense0"]
    assert [s.target for s in graph.out_of("input")] == ["dense0"]
    with pytest.raises(GraphError, match="no population 'x'; there are: dense0, dense1"):
        graph.population("x")
