"""Files that pumice wrote: what comes back, and what is refused."""

import h5py
import numpy as np
import pytest

import pumice
from pumice.errors import FileFormatError, InputError
from pumice.ir.builder import chain
from pumice.netx import load, save

CHAIN = chain((2, 2, 1), [3, 2], seed=1).replace(info={"data": "none"})
BRANCHED = CHAIN.replace(outputs=("dense0", "dense1"))


@pytest.fixture
def changed(tmp_path):
    """Function: save a graph with a certificate, let `change(file)` spoil it, give what loading says."""

    def run(graph, change, **options):
        path = tmp_path / "a.net"
        save(pumice.certify(graph, np.ones((5, 2, 2, 1), int)), path)
        with h5py.File(path, "r+") as file:
            change(file)
        with pytest.raises(FileFormatError) as caught:
            load(path, **options)
        assert str(path) in str(caught.value)
        return str(caught.value)

    return run


def put(place, value):
    def change(file):
        if place in file:
            del file[place]
        file[place] = value

    return change


def version(number):
    return lambda file: file["pumice"].attrs.__setitem__("version", number)


@pytest.mark.parametrize("graph", [CHAIN, BRANCHED], ids=["chain", "graph"])
@pytest.mark.parametrize(
    ("change", "text"),
    [
        (version(3), "format version 3 is not known, this pumice reads 1 and 2; update pumice"),
        (version(0), "format version 0 is not known, this pumice reads 1 and 2$"),
        (version("1"), "attribute version must be one integer"),
        (lambda f: f["pumice"].attrs.__delitem__("version"), "format version None"),
        (put("pumice/form", "tree"), "form: must be 'chain' or 'graph', got 'tree'"),
        (put("pumice/colour", 3), "colour: unknown field; known are"),
        (put("pumice/input/colour", 3), "input/colour: unknown field"),
        (put("pumice/population/0/colour", 3), "population/0/colour: unknown field"),
        (put("pumice/certificate/colour", 3), "certificate/colour: unknown field"),
        (put("pumice/population/7/name", "x"), "population: must hold 0 to 2, got"),
        (put("pumice/population/0/name", "input"), "'input' is used 2 times"),
        (put("pumice/population/0/reset", [0, 1]), "reset: must be interval >= 1"),
        (put("pumice/outputs", [5]), "outputs: must lie in 0..1"),
        (put("pumice/input/value_range", [3, 1]), "value_range: must be the smallest"),
        (put("pumice/timing", [3, 2]), "sample_steps <= period_steps"),
        (put("pumice/timing", [3]), "timing: must be sample_steps, period_steps and lead_steps"),
        (put("pumice/info", "{"), "info: is not JSON"),
        (put("pumice/info", "[" * 100_000), "info: is not JSON"),
        (put("pumice/info", '{"a": 3}'), "info: must be a JSON object of strings"),
        (put("pumice/certificate/x", np.ones((5, 3), int)), "certificate/x: must have shape"),
        (put("pumice/certificate/spikes/0", np.ones((4, 3), int)), "spikes/0: must have shape"),
        (put("pumice/certificate/spike_counts", [1]), "spike_counts: must be one for each of 2 populations"),
        (lambda f: f.__delitem__("pumice/input"), "has no 'input'"),
    ],
)
def test_spoiled_headers(changed, graph, change, text):
    message = changed(graph, change)
    assert text.rstrip("$") in message
    assert not text.endswith("$") or message.endswith(text[:-1])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (put("pumice/graded", 2), "graded: must lie in 0..1"),
        (put("pumice/population/2/name", "x"), "does not describe the layers of this file"),
        (put("pumice/input/shape", [4]), "does not describe the layers of this file"),
        (put("layer/3/weight", np.ones((2, 5))), "/layer/3/weight: takes 5 values, its source has 3"),
        (lambda f: f.__delitem__("layer/1"), "/layer: must hold 0 to 2, got 0, 2, 3"),
    ],
)
def test_spoiled_chains(changed, change, text):
    assert text in changed(CHAIN, change)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            put("pumice/population/0/type", "RF"),
            "type: 'RF' is not known; known are CUBA, accumulator, sigma, delta, sigma_delta, resonator",
        ),
        (put("pumice/population/0/shape", [9]), "weight must have shape"),
        (put("pumice/population/0/iDecay", 9999), "iDecay: must lie in 0..4096"),
        (
            put("pumice/synapse/0/type", "pool"),
            "type: 'pool' is not known; known are direct, dense, sparse, conv, one_to_one, token_mixing",
        ),
        (put("pumice/synapse/0/source", "x"), "there is no source 'x'"),
        (put("pumice/synapse/0/weight", np.full((3, 4), 700)), "weight must lie in -256..255"),
        (put("pumice/synapse/0/stride", 1), "stride: unknown field"),
        (put("pumice/synapse/0/delay", 63), "delay_steps must lie in 0..62"),
        (lambda f: f.__delitem__("pumice/population/0"), "population: must hold 0 to 0, got 1"),
    ],
)
def test_spoiled_graphs(changed, change, text):
    assert text in changed(BRANCHED, change)


def test_stock_cannot_run_a_graph(changed):
    assert "layer type 'concat' is not supported: the file does not say" in changed(
        BRANCHED, lambda file: None, as_stock=True
    )


def test_as_stock_looks_at_the_layers_only(tmp_path):
    save(CHAIN, tmp_path / "a.net")
    graph = load(tmp_path / "a.net", as_stock=True)
    assert [p.name for p in graph.populations] == ["layer2", "layer3"]
    assert (graph.info, graph.certificate) == ({}, None)


def test_num_layers_is_for_stock_files(tmp_path):
    save(CHAIN, tmp_path / "a.net")
    for argument in ({"num_layers": 1}, {"skip_layers": 1}, {"spike_exp": 3}):
        with pytest.raises(InputError, match="num_layers, skip_layers and spike_exp are for files of stock lava-dl"):
            load(tmp_path / "a.net", **argument)
    with pytest.raises(InputError, match="skip_layers must be at least 0, got -1"):
        load(tmp_path / "a.net", skip_layers=-1)


def test_input_message_bits_override_the_file(tmp_path):
    save(CHAIN, tmp_path / "a.net")
    assert load(tmp_path / "a.net", input_message_bits=4).synapses[0].graded
    assert not load(tmp_path / "a.net", input_message_bits=0).synapses[0].graded


def test_a_file_without_layers(tmp_path):
    h5py.File(tmp_path / "a.net", "w").close()
    with pytest.raises(FileFormatError, match="has no 'layer'"):
        load(tmp_path / "a.net")
    pumice.to_nir(CHAIN, tmp_path / "a.nir")
    for options in ({}, {"as_stock": True}):
        with pytest.raises(FileFormatError, match=r"a.nir: is a NIR file, .* pumice.from_nir and `pumice import`"):
            load(tmp_path / "a.nir", **options)
