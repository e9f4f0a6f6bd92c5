"""Nested dictionaries as HDF5 files."""

import h5py
import numpy as np
import pytest

from pumice.errors import FileFormatError, InputError
from pumice.ir import Timing, graph_digests
from pumice.ir.builder import chain
from pumice.netx.fields import open_file
from pumice.netx.tree import read_embedded, write_tree

GRAPH = chain((4,), [3, 2], seed=0).replace(info={"from": "here"}, timing=Timing(5, 8, 0))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.h5"


def test_each_kind_of_value_is_what_it_was(path):
    big = np.arange(4000.0).reshape(40, 100)
    write_tree(path, {"a": {"text": "naïve", "pairs": [("x", "y"), ("y", "z")], "n": 3, "big": big}, "b": 0.1})
    with h5py.File(path) as file:
        assert file["a/text"].asstr()[()] == "naïve"
        assert file["a/pairs"].asstr()[()].tolist() == [["x", "y"], ["y", "z"]]
        assert file["a/n"][()] == 3
        assert file["b"][()] == 0.1
        assert file["a/big"].compression == "gzip"
        np.testing.assert_array_equal(file["a/big"][()], big)


def test_a_graph_within_comes_back(path):
    write_tree(path, {"here": {"graph": GRAPH}})
    with open_file(path) as root:
        found = read_embedded(root.child("here").child("graph"))
    assert graph_digests(found) == graph_digests(GRAPH)
    assert (found.info, found.timing) == (GRAPH.info, GRAPH.timing)


def test_a_graph_that_is_not_valid_is_refused_with_its_place(path):
    write_tree(path, {"graph": GRAPH})
    with h5py.File(path, "r+") as file:
        del file["graph/population/1/name"]
        file["graph/population/1/name"] = "dense0"
    with (
        open_file(path) as root,
        pytest.raises(FileFormatError, match=r"/graph: the graph is not valid:\s+the name 'dense0'"),
    ):
        read_embedded(root.child("graph"))


@pytest.mark.parametrize("value", ["", []])
def test_nothing_is_no_value_and_leaves_no_file(value, path):
    with pytest.raises(InputError, match="a: there is nothing to write"):
        write_tree(path, {"a": value})
    assert not [*path.parent.iterdir()]


def test_the_same_tree_gives_the_same_bytes(path, tmp_path):
    for name in ("a.h5", "b.h5"):
        write_tree(tmp_path / name, {"graph": GRAPH, "x": np.zeros(3)})
    assert path.read_bytes() == (tmp_path / "b.h5").read_bytes()
