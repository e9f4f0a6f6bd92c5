"""Stock layers of sigma-delta neurons, resonators and pooling: what their numbers mean."""

import warnings

import numpy as np
import pytest

import pumice
from pumice.errors import FileFormatError, InputError, PumiceWarning
from pumice.fixedpoint import conv_accumulate
from pumice.ir import Conv, Cuba, Delta, Direct, Resonator, Sigma, SigmaDelta
from pumice.netx import load, save
from pumice.netx.stock import stock_rotation

SDNN = {"type": "SDNN", "activation": "relu", "vThMant": 3}
SIGMA = {**SDNN, "sigma_output": True}
RESONATOR = {"type": "RF_PHASE", "sinDecay": [1500], "cosDecay": 3000, "vThMant": 9, "gradedSpike": False}
# Which decays stock netx changes depends on the processor's sine; of these, one in three.
CHANGED = next(sin for sin in range(1700, 1900) if stock_rotation(sin, 3200) == (sin - 1, 3200))
UNSTABLE = {**RESONATOR, "sinDecay": CHANGED, "cosDecay": 3200}


@pytest.fixture
def complex_dense(dense):
    """Function: a dense layer with complex weights."""

    def make(n_out, n_in, neuron, **more):
        real = dense(n_out, n_in)["weight"]
        return dense(n_out, n_in, neuron=neuron, **{"weight": {"real": real, "imag": real[::-1]}, **more})

    return make


@pytest.fixture
def makers(dense, conv, complex_dense):
    """Functions that give the fields of a dense layer, a convolution, and a complex dense layer."""
    return dense, conv, complex_dense


def stream(n, n_steps=40, limit=90):
    return np.random.default_rng(n).integers(-limit, limit, (n_steps, n))


def later(x, delays):
    out = np.zeros_like(x)
    for index, delay in enumerate(delays):
        out[delay:, index] = x[: len(x) - delay, index]
    return out


def test_a_sigma_delta_network(write, dense, conv):
    entry = {"type": "input", "shape": [2, 4, 5], "neuron": {**SDNN, "vThMant": 1}}
    layers = [conv([3, 3, 4], 2, (2, 2), neuron=SDNN, bias=[4, 0, -4]), {"type": "flatten"}]
    graph = load(write(entry, *layers, dense(6, 36, neuron=SDNN), dense(2, 6, neuron=SIGMA)))
    a, b, c, d = graph.populations
    assert [type(p) for p in graph.populations] == [Delta, SigmaDelta, SigmaDelta, Sigma]
    assert (a.shape, a.vth, a.spike_exp, a.state_exp, a.cum_error) == ((5, 4, 2), 1 << 12, 6, 6, False)
    assert b.bias.tolist() == [4 << 12, 0, -4 << 12]
    assert (b.vth, b.relu, c.bias, d.reset) == (3 << 12, True, 0, None)
    assert [s.graded for s in graph.synapses] == [True] * 4
    assert isinstance(graph.synapses[0], Direct)


def test_fraction_bits_are_an_argument(write, dense):
    path = write(dense(3, 4, neuron=SDNN, bias=[1, 2, 3]))
    coarse = load(path, spike_exp=0).populations[0]
    assert (coarse.spike_exp, coarse.state_exp, coarse.vth, coarse.bias.tolist()) == (0, 6, 3 << 6, [64, 128, 192])
    with pytest.raises(InputError, match=r"spike_exp must lie in 0\.\.7, got 8"):
        load(path, spike_exp=8)
    graph = load(path)
    save(graph, path)
    with pytest.raises(InputError, match="spike_exp are for files of stock lava-dl only"):
        load(path, spike_exp=6)


def test_what_a_source_sends_decides_whether_weights_multiply(write, dense, complex_dense):
    cuba = dense(1, 1)["neuron"]
    kinds = [cuba, SDNN, cuba, SDNN, RESONATOR, cuba]
    layers = [(complex_dense(3, 3, n) if n is RESONATOR else dense(3, 3, neuron=n)) for n in kinds]
    found = {s.target: s.graded for s in load(write(*layers)).synapses}
    assert list(found.values()) == [False, False, True, False, True, False]


def test_complex_weights(write, complex_dense):
    layer = complex_dense(3, 4, {**RESONATOR, "type": "RF_IZHIKEVICH"})
    graph = load(write(layer))
    neurons = graph.populations[0]
    assert isinstance(neurons, Resonator)
    assert (neurons.vth, neurons.sin_decay, neurons.cos_decay, neurons.izhikevich) == (9 << 6, 1500, 3000, True)
    assert (neurons.state_exp, neurons.decay_bits) == (6, 12)
    assert {s.part: s.weight.tolist() for s in graph.synapses} == {
        part: weight.tolist() for part, weight in layer["weight"].items()
    }


def test_decays_are_the_integers_of_the_file(write, complex_dense):
    path = write(complex_dense(3, 4, UNSTABLE))
    with pytest.warns(PumiceWarning, match="neuron: stock netx changes sinDecay and cosDecay by one"):
        assert load(path).populations[0].sin_decay == CHANGED
    assert load(path, as_stock=True).populations[0].sin_decay == CHANGED - 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(write(complex_dense(3, 4, RESONATOR)))
    with pytest.warns(PumiceWarning):
        graph = load(write(complex_dense(3, 4, {**UNSTABLE, "sinDecay": [1, 2, CHANGED]})))
    assert graph.populations[0].sin_decay.tolist() == [1, 2, CHANGED]


@pytest.mark.parametrize("kind", ["complex", "values", "values with bias"])
def test_delays_delay_the_outputs(write, dense, complex_dense, kind):
    """Where they are put (on own inputs, or on the next layer's) makes no difference to what leaves."""
    delay = [0, 3, 1, 9, 2]
    if kind == "complex":
        layers = [complex_dense(5, 6, RESONATOR), dense(4, 5)]
    else:
        bias = {"bias": [5, 9, -4, 0, 7]} if kind == "values with bias" else {}
        layers = [dense(5, 6, neuron=SDNN, **bias), dense(4, 5, neuron=SDNN)]
    x, options = stream(6), {"input_message_bits": 8}
    first = pumice.run(load(write(layers[0]), **options), x).spikes
    expected = pumice.run(load(write(layers[1]), **options), later(first, delay)).spikes
    path = write({**layers[0], "delay": delay}, layers[1])
    if kind == "values":
        graph = load(path, **options)
    else:
        with pytest.warns(PumiceWarning, match=r"drops the delays of a complex layer|delays the inputs"):
            graph = load(path, **options)
    got = pumice.run(graph, x).spikes
    assert got[2:].any()
    np.testing.assert_array_equal(got, expected)
    stock = load(path, as_stock=True, **options)
    assert bool(stock.synapses[0].max_delay_steps) == (kind != "complex")


def pool(conv, shape, kernel, **more):
    weight = np.full((1, 1, *kernel), 6)
    return conv(shape, 1, kernel, **{"type": "pool", "weight": weight, "stride": kernel, **more})


def test_pooling_is_a_convolution_of_each_channel(write, conv, dense):
    path = write(conv([3, 8, 6], 1, (1, 1)), pool(conv, [3, 4, 2], (2, 3)), {"type": "flatten"}, dense(2, 24))
    found = load(path, input_shape=(6, 8, 1)).synapses[1]
    assert isinstance(found, Conv)
    assert (found.weight.shape, found.groups, found.stride) == ((3, 3, 2, 1), 3, (3, 2))
    assert np.all(found.weight == 6)


def test_pooling_of_an_odd_size_has_zeros_at_the_far_side(write, conv):
    graph = load(write(pool(conv, [2, 3, 4], (2, 2), neuron=SDNN)), input_shape=(7, 5, 2))
    assert graph.output.shape == (4, 3, 2)
    conv = graph.synapses[0]
    x = np.random.default_rng(0).integers(0, 9, (7, 5, 2)).astype(np.int32)
    got = conv_accumulate(conv.weight, x, stride=conv.stride, padding=conv.padding, groups=conv.groups)
    wide = np.pad(x, ((0, 1), (0, 1), (0, 0)))
    np.testing.assert_array_equal(got, 6 * wide.reshape(4, 2, 3, 2, 2).sum((1, 3)))


def test_delays_of_pooling_move_to_the_next_layer(write, conv, dense):
    path = write(pool(conv, [2, 2, 2], (2, 2), delay=[3, 0]), {"type": "flatten"}, dense(3, 8))
    with pytest.warns(PumiceWarning, match="drops the delays"):
        graph = load(path, input_shape=(4, 4, 2))
    assert graph.synapses[1].delay_steps.tolist() == [3] * 4 + [0] * 4


def test_resonators_may_have_convolutions(write, conv):
    weight = conv([2, 3, 3], 1, (2, 2))["weight"]
    layer = conv([2, 3, 3], 1, (2, 2), neuron=RESONATOR, weight={"real": weight, "imag": weight + 2})
    graph = load(write(layer), input_shape=(4, 4, 1))
    assert [(type(s), s.part) for s in graph.synapses] == [(Conv, "real"), (Conv, "imag")]


def test_adaptive_resonators_are_refused_or_read_as_stock_does(write, complex_dense):
    for kind, izhikevich in (("ADRF_PHASE", False), ("ADRF_IZHIKEVICH", True), ("RF", True)):
        path = write(complex_dense(3, 4, {**RESONATOR, "type": kind, "thDecay": 5}))
        with pytest.raises(FileFormatError, match=f"neuron type '{kind}'"):
            load(path)
        assert load(path, as_stock=True).populations[0].izhikevich == izhikevich


def test_flags_that_stock_reads_otherwise(write, dense):
    path = write(dense(3, 4, neuron={**SDNN, "sigma_output": False}))
    with pytest.warns(PumiceWarning, match="takes sigma_output for set"):
        assert isinstance(load(path).output, SigmaDelta)
    assert isinstance(load(path, as_stock=True).output, Sigma)
    path = write(dense(3, 4, neuron={**SDNN, "activation": "tanh"}))
    assert load(path, as_stock=True).output.relu
    path = write(dense(3, 4, neuron={**SDNN, "messageBits": 16, "gradedSpike": True}))
    assert isinstance(load(path).output, SigmaDelta)
    path = write(dense(1, 4, neuron=SDNN, bias=[2**19 + 7]))
    assert load(path, as_stock=True).output.bias == (7 - 2**19) << 12


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda d, c, z: d(3, 4, neuron={**SDNN, "activation": "tanh"}), "activation: 'tanh' cannot be represented"),
        (lambda d, c, z: d(3, 4, neuron={**SDNN, "vThMant": -1}), "vThMant: must lie in 0.."),
        (lambda d, c, z: d(3, 4, neuron={**SDNN, "wgtExp": 1}), "wgtExp: a weight exponent"),
        (lambda d, c, z: d(3, 4, neuron=SDNN, bias=[2**19] * 3), "bias: must lie in -524288..524287"),
        (lambda d, c, z: d(3, 4, neuron=SIGMA, bias=[1, 2, 3]), "bias: a Sigma has no bias$"),
        (lambda d, c, z: z(3, 4, RESONATOR, bias=[1, 2, 3]), "bias: a Resonator has no bias; --as-stock drops it"),
        (lambda d, c, z: z(3, 4, RESONATOR, weight=np.ones((3, 4))), "weight: resonators need complex weights"),
        (lambda d, c, z: z(3, 4, SDNN), "weight: complex weights need resonators, got SigmaDelta"),
        (lambda d, c, z: z(3, 4, {**RESONATOR, "gradedSpike": True}), "gradedSpike: graded spikes"),
        (lambda d, c, z: z(3, 4, {**RESONATOR, "sinDecay": 5000}), "sinDecay: must lie in -4096..4096"),
        (lambda d, c, z: z(3, 4, {**RESONATOR, "sinDecay": [1, 2]}), "does not fit the layer's shape"),
        (lambda d, c, z: z(3, 4, RESONATOR, type="dense_rec"), "recurrent resonators are not written"),
        (lambda d, c, z: {"type": "input", "shape": [3], "neuron": RESONATOR}, "input neurons cannot be resonators"),
        (lambda d, c, z: z(3, 4, RESONATOR, weight={"real": np.ones((3, 4)), "imag": np.ones((3, 5))}), "one shape"),
        (lambda d, c, z: pool(c, [2, 2, 3], (3, 3)), "windows straddle channels as SLAYER computes them"),
        (lambda d, c, z: pool(c, [2, 3, 3], (2, 2), padding=1), "windows straddle channels"),
        (lambda d, c, z: pool(c, [2, 2, 2], (2, 2), weight=np.ones((2, 1, 2, 2))), "must be .1, 1, kernel y"),
        (lambda d, c, z: pool(c, [2, 3, 2], (2, 2)), "the convolution gives shape"),
    ],
)
def test_refused(write, makers, build, text):
    layer = build(*makers)
    options = {"input_shape": (8, 7, 2) if "SLAYER" in text else (4, 4, 2)}
    with pytest.raises(FileFormatError, match=text):
        load(write(layer), **(options if "stride" in layer else {}))


def test_pooling_has_no_stock_form(write, conv):
    with pytest.raises(FileFormatError, match="stock netx cannot run pooling"):
        load(write(pool(conv, [2, 2, 2], (2, 2))), input_shape=(4, 4, 2), as_stock=True)


@pytest.mark.parametrize("kind", [Delta, Sigma, SigmaDelta, Resonator, Cuba])
def test_graphs_made_from_stock_files_come_back(tmp_path, write, makers, kind):
    dense, conv, complex_dense = makers
    entry = {"type": "input", "shape": [3], "neuron": SDNN}
    layers = {
        Delta: [entry, dense(4, 3, neuron=SDNN)],
        Sigma: [dense(3, 4, neuron=SIGMA)],
        SigmaDelta: [dense(3, 4, neuron=SDNN, bias=[1, 2, 3])],
        Resonator: [complex_dense(3, 4, RESONATOR)],
        Cuba: [pool(conv, [2, 2, 2], (2, 2))],
    }[kind]
    graph = load(write(*layers), **({"input_shape": (4, 4, 2)} if kind is Cuba else {}))
    assert any(isinstance(p, kind) for p in graph.populations)
    graph = pumice.certify(graph, np.random.default_rng(1).integers(-9, 9, (6, *graph.input.shape)))
    save(graph, tmp_path / "a.net")
    back = load(tmp_path / "a.net")
    pumice.verify(back)
    save(back, tmp_path / "b.net")
    assert (tmp_path / "a.net").read_bytes() == (tmp_path / "b.net").read_bytes()
