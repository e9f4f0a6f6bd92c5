"""What is read right, and what is refused with one clear error."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from pumice import from_nir
from pumice.errors import FileFormatError
from pumice.nir.reader import read_nir

DT = 1e-4
INPUT, OUTPUT = {"type": "Input", "shape": [3]}, {"type": "Output", "shape": [2]}
FC = {"type": "Linear", "weight": np.array([[0.5, 0.25, -0.5], [0.75, 0.5, 0.25]])}
IF = {"type": "IF", "r": np.ones(2), "v_threshold": np.ones(2), "v_reset": np.zeros(2)}
EDGES = [("input", "fc"), ("fc", "if"), ("if", "output")]
NODES = {"input": INPUT, "fc": FC, "if": IF, "output": OUTPUT}


def test_a_slash_in_a_name_becomes_an_underscore(write_nir, simulate, run_graph, spikes):
    edges = [("input", "block/fc"), ("block/fc", "block/if"), ("block/if", "output")]
    path = write_nir({"input": INPUT, "block/fc": FC, "block/if": IF, "output": OUTPUT}, edges)
    assert sorted(read_nir(path).nodes) == ["block_fc", "block_if", "input", "output"]
    x = spikes(2, 20, 3)
    plain = write_nir(NODES, EDGES, "plain.nir")
    np.testing.assert_array_equal(run_graph(from_nir(path), x), simulate(plain, x))


def nested(**ends):
    inner = {
        "in": {"type": "Input", "shape": [2]},
        "lif": IF,
        "w": {"type": "Linear", "weight": np.array([[0.0, 0.5], [-0.5, 0.25]])},
        "out": {"type": "Output", "shape": [2]},
        **ends,
    }
    edges = [("in", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "out")]
    return {"input": INPUT, "fc": FC, "rec": {"nodes": inner, "edges": edges}, "output": OUTPUT}


def test_nested_graphs_become_dotted_names(write_nir, simulate, run_graph, spikes):
    path = write_nir(nested(), [("input", "fc"), ("fc", "rec"), ("rec", "output")])
    flat = write_nir({**NODES, "w": nested()["rec"]["nodes"]["w"]}, [*EDGES, ("if", "w"), ("w", "if")], "flat.nir")
    graph, x = from_nir(path, sample_steps=20), spikes(2, 20, 3)
    assert "rec.lif" in [p.name for p in graph.populations]
    np.testing.assert_array_equal(run_graph(graph, x), simulate(flat, x))


def test_a_nested_graph_with_two_inputs_is_refused(write_nir):
    path = write_nir(
        nested(more={"type": "Input", "shape": [2]}), [("input", "fc"), ("fc", "rec"), ("rec", "output")]
    )
    with pytest.raises(FileFormatError, match="has 2 inputs; an edge needs exactly one"):
        from_nir(path)


def changed(**changes):
    return {**NODES, **changes}


def conv(**changes):
    geometry = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, "bias": np.zeros(2)}
    image = {"input": {"type": "Input", "shape": [3, 4, 4]}}
    return {**image, "fc": {"type": "Conv2d", "weight": np.ones((2, 3, 2, 2)), **geometry, **changes}}


TWO_LAYERS = [("input", "fc"), ("fc", "if"), ("if", "b"), ("b", "if2"), ("if2", "c"), ("c", "if"), ("if2", "output")]
SQUARE = {"type": "Linear", "weight": np.eye(2)}

REFUSED = {
    "an unknown node": (changed(fc={"type": "MaxPool2d"}), EDGES, "'MaxPool2d', which is not known"),
    "an unknown field": (changed(fc={**FC, "gain": 2.0}), EDGES, "unknown field"),
    "a missing field": (changed(fc={"type": "Linear"}), EDGES, "has no 'weight'"),
    "NaN": (changed(fc={**FC, "weight": np.full((2, 3), np.nan)}), EDGES, "NaN"),
    "a text for a number": (changed(fc={**FC, "weight": "x"}), EDGES, "must hold numbers"),
    "an edge to nowhere": (NODES, [*EDGES, ("if", "none")], "'none', which is no node"),
    "two inputs": (changed(more=INPUT), [*EDGES, ("more", "fc")], "has 2 Input nodes"),
    "no output": ({k: v for k, v in NODES.items() if k != "output"}, EDGES[:2], "has no Output node"),
    "something unreached": (changed(lone=FC), [*EDGES, ("lone", "if")], "nothing from the input arrives"),
    "a matrix that does not fit": (changed(fc={**FC, "weight": np.ones((2, 4))}), EDGES, r"takes \(4,\)"),
    "a batched matrix": (changed(fc={**FC, "weight": np.ones((1, 2, 3))}), EDGES, "batched"),
    "an edge out of the output": (
        changed(b=IF),
        [*EDGES, ("output", "b")],
        "Output 'output': an edge leads from it to 'b'",
    ),
    "an edge into the input": (
        changed(b={"type": "Linear", "weight": np.ones((3, 2))}),
        [*EDGES, ("if", "b"), ("b", "input")],
        "Input 'input': an edge leads to it from 'b'",
    ),
    "a matrix of no rows": (changed(fc={**FC, "weight": np.ones((0, 3))}), EDGES, "must hold at least one number"),
    "a kernel of no taps": (changed(**conv(weight=np.ones((2, 3, 0, 2)))), EDGES, "must hold at least one number"),
    "unequal shapes in a sum": (NODES, [*EDGES, ("input", "if")], "unequal shapes"),
    "parameters of another shape": (changed(**{"if": {**IF, "r": np.ones(3)}}), EDGES, "r must be one number or"),
    "an r that is neither": (changed(**{"if": {**IF, "r": np.full(2, 7.0)}}), EDGES, "1 / dt = 10000"),
    "a threshold below the reset": (changed(**{"if": {**IF, "v_reset": np.full(2, 2.0)}}), EDGES, "above v_reset"),
    "a loop without neurons": (changed(w=SQUARE), [*EDGES, ("fc", "w"), ("w", "fc")], "loop without neurons"),
    "a loop over two layers": (changed(b=SQUARE, if2=IF, c=SQUARE), TWO_LAYERS, "loop over several layers"),
    "a delay of half a step": (
        changed(d={"type": "Delay", "delay": np.full(3, 0.5e-4)}),
        [("input", "d"), ("d", "fc"), *EDGES[1:]],
        "whole number of steps",
    ),
    "a delay too long": (
        changed(d={"type": "Delay", "delay": np.full(3, 63e-4)}),
        [("input", "d"), ("d", "fc"), *EDGES[1:]],
        "at most 62 steps",
    ),
    "a read-out in the middle": (
        changed(i={"type": "I", "r": np.ones(2)}),
        [*EDGES[:1], ("fc", "i"), ("i", "if"), EDGES[2]],
        "only outputs may be read",
    ),
    "groups that do not divide": (changed(**conv(groups=2)), EDGES, "takes 6 channels, 3 arrive"),
    "a kernel larger than the image": (changed(**conv(weight=np.ones((2, 3, 5, 5)))), EDGES, "does not fit"),
    "same with a stride": (changed(**conv(padding="same", stride=[2, 2])), EDGES, "goes with a stride of 1"),
    "a padding that is a word": (changed(**conv(padding="reflect")), EDGES, "'same' or 'valid'"),
    "a stride of 0": (changed(**conv(stride=[0, 1])), EDGES, r"stride must lie in 1\.\."),
    "a huge input": (
        changed(input={"type": "Input", "shape": [1 << 28, 1 << 28]}),
        EDGES,
        "at most 4194304 are read",
    ),
    "a huge padding": (changed(**conv(padding=[1 << 20, 1 << 20], stride=[1 << 20, 1 << 20])), EDGES, "are read"),
    "four dimensions": (changed(input={"type": "Input", "shape": [1, 1, 1, 3]}), EDGES, "shape must be"),
    "a half flatten": (
        changed(**conv(), f={"type": "Flatten", "start_dim": 1, "end_dim": -1}),
        [("input", "fc"), ("fc", "f"), ("f", "if"), ("if", "output")],
        "start_dim must be 0",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_is_refused_with_the_reason(name, write_nir):
    nodes, edges, match = REFUSED[name]
    from_nir(write_nir(NODES, EDGES, "good.nir"))  # what it is a change of is read
    with pytest.raises(FileFormatError, match=match) as error:
        from_nir(write_nir(nodes, edges), dt=DT)
    assert "network.nir" in str(error.value)


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda file: file.pop("node"), "[^:]: has no group 'node': it is no NIR file"),
        (lambda file: (file.pop("node"), file.create_group("layer")), "a NetX network, which pumice.load"),
        (lambda file: file["node"].pop("edges"), "has no edges"),
        (lambda file: file["node"].pop("nodes"), "has no 'nodes'"),
        (lambda file: file["node/nodes/fc"].pop("type"), "fc"),
        (lambda file: file["node/nodes"].create_group("empty"), "a node needs a type"),
        (
            lambda file: (file["node"].pop("edges"), file["node"].create_dataset("edges", data=np.ones(3))),
            "pairs of node",
        ),
        (lambda file: file.__setitem__("node/nodes/fc/weight2", h5py.SoftLink("/node")), "unknown field"),
        (
            lambda file: (
                file["node/nodes/fc"].pop("weight"),
                file["node/nodes/fc"].create_dataset("weight", (1 << 20, 1 << 20), "f8", chunks=(64, 64)),
            ),
            "declares",
        ),
        (
            lambda file: (
                file["node/nodes/fc"].pop("weight"),
                file.__setitem__("node/nodes/fc/weight", h5py.ExternalLink("/etc/hostname", "/")),
            ),
            "is a link",
        ),
    ],
)
def test_a_hostile_file_gets_one_error(spoil, match, write_nir):
    path = write_nir(NODES, EDGES)
    with h5py.File(path, "a") as file:
        spoil(file)
    with pytest.raises(FileFormatError, match=match):
        from_nir(path)


def test_a_deep_nest_is_refused(write_nir):
    inner = {"nodes": {"in": INPUT, "out": {"type": "Output", "shape": [3]}}, "edges": [("in", "out")]}
    for _ in range(20):
        inner = {"nodes": {"in": INPUT, "g": inner, "out": OUTPUT}, "edges": [("in", "g"), ("g", "out")]}
    with pytest.raises(FileFormatError, match="nested more than 16 deep"):
        from_nir(write_nir({"input": INPUT, "g": inner, "output": OUTPUT}, [("input", "g"), ("g", "output")]))


def test_a_truncated_file_and_a_missing_one_are_refused(write_nir, tmp_path):
    path = write_nir(NODES, EDGES)
    raw = path.read_bytes()
    for length in (0, 100, len(raw) // 2, len(raw) - 100):
        Path(path).write_bytes(raw[:length])
        with pytest.raises(FileFormatError):
            from_nir(path)
    with pytest.raises(FileFormatError, match="No such file"):
        from_nir(tmp_path / "none.nir")
