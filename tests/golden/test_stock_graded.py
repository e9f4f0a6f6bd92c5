"""Sigma-delta neurons and resonators: pumice's reading of a file equals stock netx on Lava."""

import numpy as np
import pytest

import pumice
from pumice.backends.verify import first_difference
from pumice.errors import PumiceWarning
from pumice.netx import load, save

pytestmark = pytest.mark.lava

CUBA = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 40, "refDelay": 1, "gradedSpike": False}
SDNN = {"type": "SDNN", "activation": "relu", "vThMant": 5}
SIGMA = {**SDNN, "sigma_output": True}
PLAIN = {"type": "RF_PHASE", "sinDecay": [2000], "cosDecay": [3300], "vThMant": 60, "gradedSpike": False}
FIRING = {**PLAIN, "type": "RF_IZHIKEVICH", "sinDecay": [1843], "cosDecay": [-3200]}
AS_STOCK = {"as_stock": True}


def matrix(rng, *shape):
    return 2.0 * rng.integers(-30, 61, size=shape)


def dense(rng, n_out, n_in, neuron, **more):
    return {
        "type": np.array([b"dense"]),
        "shape": [n_out],
        "weight": matrix(rng, n_out, n_in),
        "neuron": neuron,
        **more,
    }


def complex_dense(rng, n_out, n_in, neuron, **more):
    parts = {"real": matrix(rng, n_out, n_in), "imag": matrix(rng, n_out, n_in)}
    return {**dense(rng, n_out, n_in, neuron), "weight": parts, **more}


def sdnn_image(rng):
    """Encoder, convolution, flatten, a hidden layer, decoder."""
    kernel = {"weight": matrix(rng, 4, 2, 3, 2), "stride": [2, 1], "padding": [1, 0], "dilation": 1, "groups": 1}
    return [
        {"type": np.array([b"input"]), "shape": [2, 5, 6], "neuron": {**SDNN, "vThMant": 3}},
        {"type": np.array([b"conv"]), "shape": [4, 3, 5], "neuron": SDNN, "bias": [-20.0, 3, 50, 0], **kernel},
        {"type": np.array([b"flatten"]), "shape": [60, 1, 1]},
        dense(rng, 7, 60, {**SDNN, "vThMant": 20}, bias=rng.integers(-900, 900, 7)),
        dense(rng, 3, 7, SIGMA),
    ]


def test_pilotnet_sdnn(compare, wheel):
    rng = np.random.default_rng(0)
    image = np.load(wheel / "gts/pilotnet_sdnn/input.npy")[..., 0]
    x = np.stack([image, *np.clip(image + rng.integers(-9, 10, (8, *image.shape)), -255, 255)])
    path = wheel / "gts/pilotnet_sdnn/network.net"
    compare(
        {
            "as trained": (path, x, {}, {}),
            "square": (wheel / "gts/pilotnet_sdnn/square_network.net", x[:6, :33], {}, {}),
            "fewer fraction bits": (path, x, {"spike_exp": 2}, {"spike_exp": 2}),
        }
    )


def test_sigma_delta_layers(compare, tmp_path, write_net):
    rng = np.random.default_rng(1)
    image = np.cumsum(rng.integers(-4, 5, (25, 6, 5, 2)), axis=0)
    spikes = (rng.random((25, 6)) < 0.4).astype(int)
    flat = rng.integers(-4, 9, (12, 60))
    eager = {**SDNN, "vThMant": 0}
    inhibition = dense(rng, 5, 6, eager, weight=-2.0 * rng.integers(1, 100, (5, 6)), bias=[9.0] * 5)
    mixed = [dense(rng, 5, 6, CUBA), dense(rng, 5, 5, eager), dense(rng, 4, 5, {**CUBA, "vThMant": 2})]
    delays = [dense(rng, 5, 6, eager, delay=[0.0, 3, 1, 9, 2]), dense(rng, 4, 5, {**eager, "sigma_output": True})]
    others = {**eager, "activation": "tanh"}
    graded = {"input_message_bits": 16}
    files = {
        "image": (sdnn_image(rng), image, {"reset_interval": 8}, {}),  # resets do not reach these neurons
        "other fraction bits": (sdnn_image(rng), image, {"spike_exp": 3}, {"spike_exp": 3}),
        "without the encoder": (sdnn_image(rng), image[:12], *[{"skip_layers": 1}] * 2),
        "without the convolution": (sdnn_image(rng), 9 * flat, *[{"skip_layers": 2, "spike_exp": 4}] * 2),
        "a part": (mixed, spikes[:, :5], *[{"skip_layers": 1, "num_layers": 2}] * 2),
        "spikes to values to spikes": (mixed, spikes, {}, {}),
        "delays": (delays, 90 * spikes, graded, graded),
        "inhibition": ([inhibition], 90 * spikes, graded, graded),
        "any activation is relu": ([dense(rng, 5, 6, others)], 90 * spikes, graded, {**graded, **AS_STOCK}),
        "any sigma_output is one": ([dense(rng, 5, 6, {**eager, "sigma_output": False})], spikes, {}, AS_STOCK),
        "a bias that wraps": ([dense(rng, 5, 6, SDNN, bias=[2.0**19 + 7] * 4 + [9.0])], spikes, {}, AS_STOCK),
    }
    compare({name: (write_net(tmp_path / f"{i}.net", *f[0]), *f[1:]) for i, (name, f) in enumerate(files.items())})


def test_resonators(compare, tmp_path, write_net):
    rng = np.random.default_rng(2)
    x = (rng.random((60, 6)) < 0.4).astype(int)
    files = {
        "a chain": (
            [complex_dense(rng, 5, 6, FIRING), complex_dense(rng, 4, 5, PLAIN), dense(rng, 3, 4, CUBA)],
            x,
            {},
            AS_STOCK,
        ),
        "graded in": (
            [complex_dense(rng, 5, 6, FIRING)],
            3 * x,
            {"input_message_bits": 8},
            {"input_message_bits": 8, **AS_STOCK},
        ),
        "adaptive, read as plain": (
            [complex_dense(rng, 5, 6, {**PLAIN, "type": "ADRF_PHASE", "thDecay": 99})],
            x,
            {},
            AS_STOCK,
        ),
        "RF is Izhikevich's form": ([complex_dense(rng, 5, 6, {**PLAIN, "type": "RF"})], x, {}, AS_STOCK),
        "bias and delay are dropped": (
            [complex_dense(rng, 5, 6, PLAIN, bias=[99.0] * 5, delay=[3.0] * 5)],
            x,
            {},
            AS_STOCK,
        ),
    }
    per_neuron = {"sinDecay": rng.integers(500, 2800, 5), "cosDecay": rng.integers(500, 2800, 5), "vThMant": 20}
    for kind in (PLAIN, FIRING):
        files[f"decays of each neuron, {kind['type']}"] = (
            [complex_dense(rng, 5, 6, {**kind, **per_neuron})], x, {}, AS_STOCK,
        )  # fmt: skip
    for index in range(2):
        sin, cos = ([int(n)] for n in rng.integers(-2896, 2896, 2))
        neuron = {**(PLAIN if index % 2 else FIRING), "sinDecay": sin, "cosDecay": cos, "vThMant": 20}
        files[f"random decays {sin} {cos}"] = ([complex_dense(rng, 5, 6, neuron)], x, {}, AS_STOCK)
    compare({name: (write_net(tmp_path / f"{i}.net", *f[0]), *f[1:]) for i, (name, f) in enumerate(files.items())})


def test_resonators_as_trained_run_on_lava(tmp_path, write_net):
    """The file's integers themselves, which stock misses by one."""
    rng = np.random.default_rng(3)
    path = write_net(tmp_path / "a.net", complex_dense(rng, 5, 6, FIRING), complex_dense(rng, 4, 5, PLAIN))
    with pytest.warns(PumiceWarning, match="changes sinDecay and cosDecay by one"):
        graph = load(path)
    assert (graph.populations[0].sin_decay, graph.populations[0].cos_decay) == (1843, -3200)
    x = (rng.random((60, 6)) < 0.4).astype(int)
    runs = (pumice.run(graph, x, backend=b, record=True) for b in ("reference", "lava-in-threads"))
    expected, got = (run.records for run in runs)
    assert first_difference(expected, got) is None
    stock = pumice.run(load(path, as_stock=True), x, record=True, backend="reference").records
    assert np.any(stock["layer0"].states["real"] != expected["layer0"].states["real"])


def test_what_is_no_chain_of_cuba_neurons_makes_stock_fail(run_stock, tmp_path, write_net):
    rng = np.random.default_rng(4)
    save(load(write_net(tmp_path / "a.net", *sdnn_image(rng))), tmp_path / "sdnn.net")
    resonators = write_net(tmp_path / "b.net", complex_dense(rng, 5, 6, FIRING))
    with pytest.warns(PumiceWarning):
        save(load(resonators), tmp_path / "rf.net")
    x = np.zeros((2, 6), int)
    errors = run_stock([(tmp_path / name, x, {}) for name in ("sdnn.net", "rf.net")])
    assert errors == ["NotImplementedError: concat is not implemented."] * 2
    assert pumice.run(load(tmp_path / "rf.net"), x, backend="reference").spikes.shape == (2, 5)
