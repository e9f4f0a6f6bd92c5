"""NIR graphs as objects: what a file would give, and clear errors for what is none."""

from types import SimpleNamespace

import numpy as np
import pytest

import pumice
from pumice import PumiceError, from_nir
from pumice.ir import graph_digests
from pumice.nir.in_memory import opened, source_name


class Node:
    """As the nir package's nodes: fields, and to_dict()."""

    def __init__(self, **fields):
        self.fields = {**fields, "metadata": {}, "input_type": {"input": None}}

    def to_dict(self):
        return self.fields


def graph_of(nodes, edges):
    return Node(type="NIRGraph", nodes=nodes, edges=edges)


WEIGHT = np.arange(15.0).reshape(3, 5) - 6
PARTS = {
    "input": Node(type="Input", shape=np.array([5])),
    "fc/1": Node(type="Linear", weight=WEIGHT),
    "lif": Node(type="IF", r=np.ones(3), v_threshold=np.full(3, 7.0), v_reset=None),
    "output": Node(type="Output", shape=np.array([3])),
}
EDGES = [("input", "fc/1"), ("fc/1", "lif"), ("lif", "output")]


def test_an_object_is_read_as_its_file(write_nir):
    nodes = {
        name: {k: v for k, v in part.fields.items() if k in FIELDS and v is not None} for name, part in PARTS.items()
    }
    path = write_nir(nodes, EDGES)
    assert graph_digests(from_nir(graph_of(PARTS, EDGES))) == graph_digests(from_nir(path))
    assert graph_digests(from_nir(graph_of({**PARTS, "fc/1": Node(type="Linear", weight=-WEIGHT)}, EDGES))) != (
        graph_digests(from_nir(path))
    )


FIELDS = ("type", "shape", "weight", "r", "v_threshold")


def test_nested_graphs():
    inner = graph_of(
        {"input": PARTS["input"], "fc/1": PARTS["fc/1"], "output": PARTS["output"]}, [*EDGES[:1], ("fc/1", "output")]
    )
    outer = graph_of({**PARTS, "fc/1": inner}, EDGES)
    assert graph_digests(from_nir(outer)) == graph_digests(from_nir(graph_of(PARTS, EDGES)))


@pytest.mark.parametrize(
    ("source", "match"),
    [
        (3, "a path or a nir.NIRGraph is needed, got int"),
        (Node(type="IF", r=np.ones(1), v_threshold=np.ones(1)), "must be a NIRGraph, got 'IF'"),
        (SimpleNamespace(to_dict=lambda: [1]), "must give a dictionary"),
        (graph_of({**PARTS, "lif": Node(type="IF", r=object(), v_threshold=1.0)}, EDGES), "cannot be stored as HDF5"),
        (graph_of({**PARTS, "lif": Node(type="Izhikevich")}, EDGES), "'Izhikevich', which is not known"),
        (graph_of(PARTS, [*EDGES, ("lif", "nowhere")]), "'nowhere', which is no node"),
        (graph_of(PARTS, []), "there is nothing to write|without edges"),
    ],
)
def test_what_is_no_graph_is_refused(source, match):
    with pytest.raises(PumiceError, match=match):
        from_nir(source)


def test_names_of_sources():
    assert source_name(graph_of({}, [])) == "the Node given"
    with opened(graph_of(PARTS, EDGES)) as root:
        assert root.where == "the Node given:"


def test_objects_of_the_nir_package(tmp_path, m):
    nir = pytest.importorskip("nir")
    lif = {"tau": np.full(3, 2e-4), "r": np.full(3, 2.0), "v_leak": np.zeros(3), "v_threshold": np.full(3, 8.0)}
    graph = nir.NIRGraph.from_list(nir.Linear(WEIGHT), nir.LIF(**lif))
    nir.write(tmp_path / "a.nir", graph)
    assert graph_digests(from_nir(graph)) == graph_digests(from_nir(tmp_path / "a.nir"))
    ours = m.network((6,), (m.cuba(v=2048), [m.dense(5, 6)]))
    again = from_nir(nir.read(pumice.to_nir(ours, tmp_path / "b.nir")))
    assert graph_digests(again) == graph_digests(ours)
    assert "nir_report" not in again.info
