"""lava-dl's golden vectors of sigma-delta neurons and resonators, from its wheel and from the shared folder.

Every number is compared exactly: the vectors are integers, made by Lava's fixed-point processes or dumped from a
chip, although they are stored as floats. The one exception is lava-dl's own: a run with fewer fraction bits
(`spike_exp=0`), which its test compares with the finer one within a tolerance.
"""

from dataclasses import replace

import numpy as np
import pytest

import pumice
from pumice.ir import Conv, Delta, Dense, Direct, Graph, Input, Resonator, Sigma, SigmaDelta
from pumice.netx import load

UNIT = 1 << 12
"""What stock netx multiplies thresholds and biases of sigma-delta neurons by: 6 + 6 fraction bits."""


def assert_equal(got, expected):
    np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))


@pytest.fixture(params=["wheel", "shared"])
def vectors(request):
    """Function: the vectors of a folder of lava-dl's, by name, time first."""
    root = request.getfixturevalue(request.param)

    def read(folder):
        if request.param == "wheel":
            found = {path.stem: np.load(path) for path in (root / "gts" / folder).glob("*.npy")}
        else:
            with np.load(root / f"netx_{folder}.npz") as archive:
                found = dict(archive)
        return {
            name: array if "weight" in name or "kernel" in name else time_first(array)
            for name, array in found.items()
        }

    return read


def time_first(array):
    return np.moveaxis(array, -1, 0) if array.ndim > 1 and array.shape[-1] != 3 else array


@pytest.fixture(params=["wheel", "shared"])
def pilotnet(request):
    """Function: path of a network file, and its vectors."""
    root = request.getfixturevalue(request.param)
    names = {"": "network.net", "_square": "square_network.net"}

    def find(kind):
        if request.param == "wheel":
            folder = root / "gts/pilotnet_sdnn"
            return folder / names[kind], {p.stem: time_first(np.load(p)) for p in folder.glob("*.npy")}
        with np.load(root / "netx_pilotnet_sdnn.npz") as archive:
            return root / f"net/pilotnet_sdnn{kind}.net", {name: time_first(archive[name]) for name in archive}

    return find


def run(population, synapses, x):
    graph = Graph(Input("in", x.shape[1:]), (population,), synapses, (population.name,))
    return pumice.run(graph, x.astype(int), backend="reference").spikes


def test_pilotnet_sdnn(pilotnet):
    """One image: what the encoder sends, the decoded sums of two layers in 20 steps, and the output of 9."""
    path, expected = pilotnet("")
    graph = load(path)
    assert [type(p) for p in graph.populations] == [Delta, *[SigmaDelta] * 7, Sigma]
    result = pumice.run(graph, np.repeat(expected["input"], 20, axis=0), record=True, backend="reference")
    assert_equal(result.records["layer0"].s, expected["act0"])
    assert_equal(result.records["layer1"].states["sigma"], expected["sigma1"])
    assert_equal(result.records["layer2"].states["sigma"], expected["sigma2"])
    assert_equal(result.spikes[:9], expected["output"])
    assert np.count_nonzero(expected["output"]) == 8


def test_pilotnet_sdnn_with_fewer_fraction_bits(pilotnet):
    """Rounded messages give a rounded steering angle: lava-dl's own tolerance, a mean error of 2 * 2^6."""
    path, expected = pilotnet("")
    got = pumice.run(load(path, spike_exp=0), np.repeat(expected["input"], 9, axis=0), backend="reference").spikes
    assert np.abs(got - expected["output"] / 64).mean() < 2 * 64
    assert np.abs(got).max() > 7000


def test_pilotnet_sdnn_square(pilotnet):
    """The narrow version without its input layer, driven by recorded messages: every layer's sums, 20 steps."""
    path, expected = pilotnet("_square")
    graph = load(path)
    names = [p.name for p in graph.populations]
    synapses = tuple(replace(s, source="in" if s.source == names[0] else s.source) for s in graph.synapses[1:])
    part = Graph(Input("in", (33, 33, 3)), graph.populations[1:], synapses, (names[-1],))
    records = pumice.run(part, expected["act0"][:, :33, :33].astype(int), record=True, backend="reference").records
    for index, record in enumerate(records.values(), 1):
        assert_equal(record.states["sigma"], expected[f"sigma{index}_square"])
        assert record.states["sigma"].any()


def test_delta_block(vectors):
    expected = vectors("tinynet_sdnn")
    wave = np.sin(2 * np.pi * np.arange(15) / 15)
    x = (expected["input_bias"] * wave[:, None, None, None]).astype(int)
    delta = Delta("a", (16, 16, 3), vth=20 * UNIT)
    assert_equal(run(delta, (Direct("in", "a", graded=True),), x), expected["input"])


def test_sigma_delta_block(vectors):
    """lava-dl runs a single step, in which the biases act."""
    expected = vectors("tinynet_sdnn")
    neurons = SigmaDelta("a", (6, 6, 24), vth=20 * UNIT, bias=expected["layer1_bias"].astype(int) * UNIT)
    kernel = expected["layer1_kernel"].astype(int)[:, ::-1, ::-1]  # Lava's is flipped in both directions
    got = run(neurons, (Conv("in", "a", True, weight=kernel, stride=(2, 2)),), expected["input"])
    assert_equal(got[0], expected["layer1"][0])
    assert got[0].any()


def test_sigma_block(vectors):
    """lava-dl leaves the synapse's message bits at 0: each message counts as one spike."""
    expected = vectors("tinynet_sdnn")
    x = expected["layer1"].reshape(16, -1)
    dense = Dense("in", "a", weight=expected["layer2_weight"].astype(int))
    assert_equal(run(Sigma("a", (100,)), (dense,), x), expected["layer2"])


def rotation(period, decay):
    """Stock's way from period and decay to integers."""
    angle = np.pi * 2 * 1 / period
    return {f"{f.__name__}_decay": int((1 - decay) * f(angle) * 4096) for f in (np.sin, np.cos)}


def test_resonators_fed_directly(vectors):
    """2,000 steps of the Izhikevich form; real and imaginary part get the same input."""
    expected = vectors("complex_dense")
    neurons = Resonator("a", (200,), vth=int(1.1 * 64), izhikevich=True, **rotation(7, 0.05))
    ends = tuple(Direct("in", "a", graded=True, part=part) for part in neurons.parts)
    got = run(neurons, ends, expected["in"])
    assert_equal(got, expected["current"])
    assert got.sum() == 13548


def test_complex_dense(vectors):
    """2,000 steps of the plain form behind complex weights."""
    expected = vectors("complex_dense")
    neurons = Resonator("a", (256,), vth=25 * 64, **rotation(11, 0.05))
    weights = {"real": expected["weight_r"], "imag": expected["weight_img"]}
    ends = tuple(Dense("in", "a", weight=w.astype(int), part=part) for part, w in weights.items())
    got = run(neurons, ends, expected["in"])
    assert_equal(got, expected["out"])
    assert got.sum() == 41512
