"""Files that others made: read as their simulators ran them, and run in integers."""

import os
from pathlib import Path

import numpy as np
import pytest

from pumice import from_nir
from pumice.backends import get_backend
from pumice.errors import FileFormatError
from pumice.ir import to_stream

SHARED = Path(os.environ.get("PUMICE_SHARED", Path(__file__).parents[4] / "shared")) / "data/nir"
pytestmark = pytest.mark.skipif(not SHARED.exists(), reason=f"no {SHARED}: set PUMICE_SHARED")

# Output spikes that may differ from the float simulation with 8 and with 15 bits, of 800 to 960.
PEERS = {
    "sj_conv_if": (31, 10),
    "sj_conv_lif": (15, 0),
    "sj_conv_cuba": (4, 1),
    "sj_residual_lif": (1, 0),
    "snn_conv_zero": (39, 4),
    "snn_leaky_zero": (8, 0),
    "snn_synaptic_zero": (20, 0),
}


@pytest.mark.parametrize("name", PEERS)
def test_networks_of_snntorch_and_spikingjelly(name, simulate, run_graph):
    path = SHARED / f"made_with_peers/{name}.nir"
    with np.load(path.with_name(f"{name}_io.npz")) as io:
        x, expected = (np.moveaxis(io[key].astype(int), 0, 1) for key in ("x", "spikes"))
    np.testing.assert_array_equal(simulate(path, x), expected)
    assert np.any(simulate(path, x, soft=True) != expected)
    for weights, most in zip(("8bit", "split"), PEERS[name], strict=True):
        differ = np.sum(run_graph(from_nir(path, weights=weights, calibrate=x), x) != expected)
        print(f"{name}, {weights}: {differ} of {expected.size} differ")
        assert differ <= most


def test_a_convolutional_network_of_sinabs(simulate, run_graph, spikes):
    path, x = SHARED / "paper_02_cnn/cnn_sinabs.nir", spikes(2, 12, 2, 34, 34, rate=0.08)
    graph = from_nir(path, calibrate=x)
    got, expected = run_graph(graph, x), simulate(path, x)
    print(f"cnn_sinabs: {np.sum(got != expected)} of {expected.size} differ; {graph.info['nir_report']}")
    assert expected.sum() > 5
    assert np.sum(got != expected) <= 0.08 * expected.size


PAPER = ("paper_03_rnn/braille_noDelay_bias_zero", "paper_03_rnn/braille_noDelay_noBias_subtract")
BRAILLE = (*PAPER, "fixtures/norse_braille", "fixtures/nirtorch_braille")


@pytest.mark.parametrize("name", BRAILLE)
def test_recurrent_networks_that_read_braille(name, simulate, run_graph, spikes):
    path, x = SHARED / f"{name}.nir", spikes(2, 256 if name in PAPER else 96, 12, rate=0.2)
    expected, differ = simulate(path, x), {}
    for weights in ("8bit", "split"):
        graph = from_nir(path, weights=weights, calibrate=x)
        differ[weights] = np.mean(run_graph(graph, x) != expected)
    print(f"{name}: {differ}")
    assert differ["8bit"] < 0.4
    assert differ["split"] < (0.02 if "paper" in name else 0.08)
    assert np.mean(simulate(path, x, late=1) != expected) > 2 * differ["split"]


@pytest.mark.parametrize("name", PAPER)
def test_a_nested_graph_whose_edges_name_no_node(name):
    with pytest.raises(FileFormatError, match=r"'lif1\.lif', which is no node"):
        from_nir(SHARED / f"{name}_subgraph.nir", sample_steps=256)


@pytest.mark.parametrize("name", ["lif_norse", "lif_rockpool"])
def test_one_neuron(name, simulate, run_graph, spikes):
    path, x = SHARED / f"paper_01_lif/{name}.nir", spikes(1, 1000, 1, rate=0.2)
    np.testing.assert_array_equal(
        run_graph(from_nir(path, calibrate=x), x).ravel(), simulate(path, x, dt=1e-4).ravel()
    )


def test_a_neuron_that_fires_by_its_leak(run_graph, simulate, spikes):
    path, x = SHARED / "paper_01_lif/two_lif_neurons.nir", spikes(1, 1000, 1, rate=0.2)
    graph = from_nir(path, calibrate=x)
    assert "lif1: Cuba" in graph.info["nir_report"]
    np.testing.assert_array_equal(run_graph(graph, x), simulate(path, x))


@pytest.mark.lava
@pytest.mark.parametrize("name", ["paper_02_cnn/cnn_sinabs", *PAPER])
def test_lava_gives_the_same_integers(name, spikes):
    cnn = "cnn" in name
    x = spikes(1, 12, *((2, 34, 34) if cnn else (12,)), rate=0.2)
    graph = from_nir(SHARED / f"{name}.nir", calibrate=x)
    stream = to_stream(graph, x.transpose(0, 1, 4, 3, 2) if cnn else x)
    outputs = [get_backend(backend).run(graph, stream).spikes for backend in ("reference", "fast", "lava-in-threads")]
    for other in outputs[1:]:
        np.testing.assert_array_equal(other, outputs[0])
    assert outputs[0].any() or not cnn
