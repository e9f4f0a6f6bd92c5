"""The exact graph is believed only beside the nodes that it was written with."""

import h5py
import numpy as np
import pytest

from pumice import from_nir, to_nir
from pumice.ir import graph_digests
from pumice.ir.builder import chain

OWN = "node/metadata/pumice"
GRAPH = chain((4,), [3, 2], seed=0)
T = 20


@pytest.fixture
def changed(tmp_path):
    """Function: export a graph, and let another tool change the file."""

    def change(edit, **options):
        path = to_nir(GRAPH, tmp_path / "a.nir", **options)
        with h5py.File(path, "r+") as file:
            edit(file)
        return path

    return change


def put(file, name, value):
    del file[name]
    file[name] = value


def weight_name(file):
    return next(f"node/nodes/{name}/weight" for name, node in file["node/nodes"].items() if "weight" in node)


def a_weight(file):
    file[weight_name(file)][0, 0] += 1


def a_threshold(file):
    file["node/nodes/dense1/v_threshold"][...] *= 2


def an_edge(file):
    edges = file["node/edges"][()].tolist()
    put(file, "node/edges", np.array([*edges, [b"dense1", b"dense1"]], h5py.string_dtype()))


def the_stored_graph(file):
    put(file, f"{OWN}/graph/population/0/vThMant", 7)


def the_stored_text(file):
    put(file, f"{OWN}/graph/info", '{"accuracy": "100 %"}')


def what_is_stored_twice(file):
    file[f"{OWN}/graph/timing"] = [5, 8, 0]


CHANGES = [a_weight, a_threshold, an_edge, what_is_stored_twice, the_stored_graph]


@pytest.mark.parametrize("edit", CHANGES)
def test_what_was_changed_is_read_as_any_other_file(edit, changed):
    graph = from_nir(changed(edit, dt=1e-3), dt=1e-3, sample_steps=T)
    assert "Written by pumice and changed since by another tool" in graph.info["nir_report"]
    assert "written with dt = 0.001" in graph.info["nir_report"]


def test_the_text_about_the_graph_is_bound_too(tmp_path):
    path = to_nir(GRAPH.replace(info={"accuracy": "90 %"}), tmp_path / "a.nir")
    assert from_nir(path).info == {"accuracy": "90 %"}
    with h5py.File(path, "r+") as file:
        the_stored_text(file)
    assert "accuracy" not in from_nir(path, sample_steps=T).info


def test_a_changed_weight_is_the_one_that_runs(changed, simulate, run_graph, spikes):
    def edit(file):
        file[weight_name(file)][...] += 200

    path, x = changed(edit), spikes(2, T, 4)
    got = run_graph(from_nir(path, weights="split", sample_steps=T), x)
    np.testing.assert_array_equal(got, simulate(path, x))
    assert np.any(got != run_graph(GRAPH, x))


@pytest.mark.parametrize(
    ("edit", "note"),
    [
        (lambda file: put(file, f"{OWN}/version", 2), "is of version 2, this pumice reads 1"),
        (lambda file: put(file, f"{OWN}/version", "new"), "cannot be read"),
        (lambda file: put(file, OWN, 3), "cannot be read"),
        (lambda file: put(file, f"{OWN}/graph", 3), "cannot be read"),
        (lambda file: put(file, f"{OWN}/graph/outputs", [9]), "cannot be read"),
        (lambda file: put(file, f"{OWN}/graph/population/0/name", "dense1"), "cannot be read"),
        (lambda file: put(file, f"{OWN}/digest", 3), "cannot be read"),
        (lambda file: put(file, f"{OWN}/graph/input/shape", h5py.SoftLink("/node")), "cannot be read"),
        (lambda file: file.pop(f"{OWN}/digest"), "cannot be read"),
    ],
)
def test_metadata_that_is_not_readable_is_named_and_left(edit, note, changed):
    assert note in from_nir(changed(edit), sample_steps=T).info["nir_report"]


@pytest.mark.parametrize("gone", ["node/metadata", OWN])
def test_without_metadata_the_nodes_alone_give_the_spikes(gone, changed, run_graph, spikes):
    graph, x = from_nir(changed(lambda file: file.pop(gone)), weights="split", sample_steps=T), spikes(2, T, 4)
    assert "pumice" not in graph.info["nir_report"].split("\n", 1)[1]
    np.testing.assert_array_equal(run_graph(graph, x), run_graph(GRAPH, x))


def test_what_tools_add_and_the_order_of_things_do_not_count(changed):
    def edit(file):
        edges = file["node/edges"][()]
        put(file, "node/edges", edges[::-1])
        name = weight_name(file)
        put(file, name, file[name][()].astype(np.float32))
        put(file, "node/nodes/output/shape", [9])

    graph = from_nir(changed(edit))
    assert "nir_report" not in graph.info
    assert graph_digests(graph) == graph_digests(GRAPH)


def test_a_stored_certificate_is_not_taken_over(changed):
    def edit(file):
        file.copy(f"{OWN}/graph/input", f"{OWN}/graph/certificate")

    assert "cannot be read" in from_nir(changed(edit), sample_steps=T).info["nir_report"]
