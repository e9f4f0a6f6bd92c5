"""Files that mean harm, through `load`: each gives one error that names the place, and memory stays bounded."""

import contextlib
import tracemalloc

import h5py
import numpy as np
import pytest

from pumice.errors import FileFormatError, GraphError, PumiceError
from pumice.ir import Conv, Cuba, Dense, Graph, Input
from pumice.ir.builder import chain
from pumice.netx import load, save

MEGABYTES_64 = 1 << 26

BRANCHED = chain((4,), [3, 2], seed=1).replace(outputs=("dense0", "dense1"))


def hard(place, goal):
    def spoil(file):
        held = file[goal]
        del file[place]
        file[place] = held

    return spoil


def link(place, made):
    def spoil(file):
        del file[place]
        file[place] = made

    return spoil


def declare(place, shape, **options):
    """A dataset of this shape of which nothing is stored."""

    def spoil(file):
        del file[place]
        file.create_dataset(place, shape, "i4", **options)

    return spoil


def bomb(place, n):
    def spoil(file):
        del file[place]
        found = file.create_dataset(place, (n,), "i8", chunks=(1 << 16,), compression="gzip")
        found[:] = 0

    return spoil


def put(place, value):
    def spoil(file):
        if place in file:
            del file[place]
        file[place] = value

    return spoil


def swap_order(file):
    """The first population fed by the second alone: a cycle that nothing enters."""
    put("pumice/synapse/0/source", "dense1")(file)


HARM = {
    "a group that holds itself": (
        hard("pumice/population/0", "pumice/population"),
        "pumice/population/0: has no 'type'",
    ),
    "a group that holds the root": (hard("pumice/population", "/"), "pumice/population: must hold 0 to"),
    "a soft link to itself": (
        link("pumice/synapse/0/weight", h5py.SoftLink("/pumice/synapse/0/weight")),
        "weight: is a link",
    ),
    "a soft link": (link("pumice/synapse", h5py.SoftLink("/layer")), "pumice/synapse: is a link"),
    "another file": (link("pumice/input", h5py.ExternalLink("b.net", "/pumice/input")), "pumice/input: is a link"),
    "absurd size": (
        declare("pumice/synapse/0/weight", (1 << 30, 1 << 30), chunks=(1 << 10, 1)),
        "at most 134217728 are read",
    ),
    "large size": (
        declare("pumice/synapse/0/weight", (1 << 13, 1 << 13), chunks=(1 << 10, 1)),
        "the file does not hold them",
    ),
    "compression": (bomb("pumice/synapse/0/delay", 1 << 24), "that much compression is refused"),
    "absurd shape": (put("pumice/population/0/shape", [1 << 20, 1 << 20]), "shape: (1048576, 1048576) means"),
    "large shape": (put("pumice/population/0/shape", [1 << 28]), "weight must have shape"),
    "NaN": (put("pumice/synapse/0/weight", np.full((3, 4), np.nan)), "weight: holds NaN"),
    "fraction": (put("pumice/synapse/0/weight", np.full((3, 4), 0.5)), "weight: must hold integers"),
    "a number": (put("pumice/synapse/0/weight", 3), "'dense0': weight must be an array of integers, got 3"),
    "no column": (put("pumice/synapse/0/weight", np.zeros((3, 0))), "weight must have shape"),
    "too large for the weights": (
        put("pumice/synapse/0/weight", np.full((3, 4), 700)),
        "weight must lie in -256..255",
    ),
    "too large for any integer": (
        put("pumice/synapse/0/weight", np.full((3, 4), 2**64 - 1, np.uint64)),
        "out of range",
    ),
    "too large for the delay": (put("pumice/synapse/0/delay", 2**40), "delay: must lie in 0.."),
    "cycle": (swap_order, "no path from the input reaches it"),
    "range of channels": (put("pumice/synapse/0/targetChannels", [0, 9]), "target_channels must satisfy"),
}


@pytest.fixture
def spoiled(tmp_path):
    def run(spoil):
        path = tmp_path / "a.net"
        save(BRANCHED, path)
        with h5py.File(path, "r+") as file:
            file["pumice/synapse/0/delay"] = 0
            spoil(file)
        tracemalloc.start()
        try:
            with pytest.raises(FileFormatError) as caught:
                load(path)
            assert tracemalloc.get_traced_memory()[1] < MEGABYTES_64
        finally:
            tracemalloc.stop()
        assert str(caught.value).count("a.net:") == 1
        return str(caught.value)

    return run


@pytest.mark.parametrize("name", sorted(HARM))
def test_spoiled_graphs(spoiled, name):
    spoil, text = HARM[name]
    assert text in spoiled(spoil)


def test_layers_are_not_read_in_the_graph_form(tmp_path):
    path = tmp_path / "a.net"
    save(BRANCHED, path)
    with h5py.File(path, "r+") as file:
        hard("layer/0", "layer")(file)
    assert load(path).outputs == BRANCHED.outputs


@pytest.mark.parametrize(
    ("place", "goal", "text"),
    [
        ("layer/1", "layer", "layer/1: has no 'type'"),
        ("layer/1/neuron", "layer/1", "neuron type 'dense' is not supported"),
        ("layer/1/weight", "layer", "complex weights need resonators"),
    ],
)
def test_stock_files_that_hold_themselves(tmp_path, place, goal, text):
    path = tmp_path / "a.net"
    save(chain((4,), [3, 2], seed=1), path)
    with h5py.File(path, "r+") as file:
        del file["pumice"]
        hard(place, goal)(file)
    with pytest.raises(FileFormatError) as caught:
        load(path)
    assert text in str(caught.value)


def test_a_pooling_of_absurd_channels(write, conv):
    """Its kernel is repeated for each channel."""
    entry = {"type": "input", "shape": [1 << 22, 8, 8]}
    pool = conv([1 << 22, 1, 1], 1, (8, 8), type="pool", weight=np.ones((1, 1, 8, 8)), stride=8)
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match="for each of 4194304 channels is too large"):
            load(write(entry, pool))
        assert tracemalloc.get_traced_memory()[1] < MEGABYTES_64
    finally:
        tracemalloc.stop()


def test_overlapping_ranges_are_a_sum(tmp_path):
    """A concatenation is two synapses into disjoint ranges; where ranges overlap, currents add up as always."""
    kernel = np.ones((2, 1, 1, 1), int)
    ends = tuple(Conv("in", "a", weight=kernel, target_channels=span) for span in ((0, 2), (1, 3)))
    graph = Graph(Input("in", (2, 2, 1)), (Cuba("a", (2, 2, 3), 5),), ends, ("a",))
    save(graph, tmp_path / "a.net")
    assert [s.target_channels for s in load(tmp_path / "a.net").synapses] == [(0, 2), (1, 3)]


def test_a_graph_that_is_not_valid_is_not_written(tmp_path):
    bad = BRANCHED.replace(synapses=(Dense("input", "dense0", weight=np.full((3, 4), 2**40)), BRANCHED.synapses[1]))
    with pytest.raises(GraphError, match="synapse input -> dense0: weight must lie in"):
        save(bad, tmp_path / "a.net")
    assert not list(tmp_path.iterdir())


def test_random_links_never_hang(tmp_path):
    """Any place made to point at any other: a graph or one of our errors."""
    rng = np.random.default_rng(7)
    path = tmp_path / "a.net"
    refused = 0
    for _ in range(60):
        save(BRANCHED, path)
        with h5py.File(path, "r+") as file:
            places = []
            file.visit(places.append)
            with contextlib.suppress(KeyError, RuntimeError):  # a place inside of what was unlinked
                hard(*map(str, rng.choice([*places, "/"], 2, replace=False)))(file)
        with contextlib.suppress(PumiceError):
            load(path)
            continue
        refused += 1
    assert refused > 30
