import numpy as np
import pytest

from pumice.errors import FileFormatError
from pumice.ir import Cuba
from pumice.netx.fields import open_file
from pumice.netx.layers import read_layer
from pumice.netx.neurons import DEFAULT_NEURON, Rules


@pytest.fixture
def read(write):
    def run(fields, **options):
        with open_file(write(fields)) as root:
            return read_layer(root.child("layer").child("0"), 0, Rules(**options))

    return run


def test_dense(read, dense):
    layer, unknown = read(dense(3, 4, bias=[1.0, -2, 3], delay=[0.0, 5, 62]))
    assert (layer.kind, layer.shape, unknown) == ("dense", (3,), [])
    assert layer.weight.shape == (3, 4)
    assert layer.weight.dtype == np.int64
    assert layer.bias.tolist() == [1, -2, 3]
    assert layer.delay.tolist() == [0, 5, 62]
    assert layer.neuron.kind is Cuba
    assert layer.neuron.parameters == {"i_decay_q12": 1024, "v_decay_q12": 128, "vth_mant": 40}


def test_a_dense_layer_without_neuron_gets_the_default_of_stock(read, dense):
    fields = dense(3, 4)
    del fields["neuron"]
    assert read(fields)[0].neuron is DEFAULT_NEURON
    assert DEFAULT_NEURON.parameters["vth_mant"] == 131072


@pytest.mark.parametrize("shape", [(12,), (3, 4, 1), (3, 4, 1, 1, 1)])
def test_spellings_of_a_dense_weight(read, dense, shape):
    expected = read(dense(3, 4))[0].weight
    np.testing.assert_array_equal(read(dense(3, 4, weight=expected.reshape(shape)))[0].weight, expected)


@pytest.mark.parametrize("last", [(), (1,)])
def test_conv_swaps_the_axes(read, conv, last):
    weight = np.arange(24).reshape(2, 1, 4, 3, *last)
    more = {"stride": [1, 2], "padding": [3, 4], "dilation": [[1, 5]]}
    layer, _ = read(conv([2, 6, 5], 1, (4, 3), weight=weight, **more))
    assert layer.shape == (5, 6, 2)
    assert layer.weight.shape == (2, 3, 4, 1)
    assert layer.weight[1, 2, 0, 0] == weight[1, 0, 0, 2].reshape(())
    assert layer.geometry == {"stride": (2, 1), "padding": (4, 3), "dilation": (5, 1), "groups": 1}


def test_a_transposed_kernel_has_its_sources_first_in_the_file(read, conv):
    weight = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    layer, _ = read(conv([3, 9, 9], 1, (1, 1), type="convT", weight=weight))
    assert layer.weight.shape == (3, 5, 4, 2)
    assert layer.weight[2, 4, 1, 0] == weight[0, 2, 1, 4]
    grouped, _ = read(conv([6, 9, 9], 1, (1, 1), type="convT", weight=weight, groups=2))
    assert grouped.weight.shape == (6, 5, 4, 1)
    assert grouped.weight[4, 3, 2, 0] == weight[1, 1, 2, 3]
    with pytest.raises(FileFormatError, match="2 sources are not divided by 3 groups"):
        read(conv([6, 9, 9], 1, (1, 1), type="convT", weight=weight, groups=3))


def test_spellings_of_a_recurrent_layer_and_of_a_bias(read, dense):
    """SpyTorch2Loihi writes `recurrent` and `recWeight`; a bias of torch may keep an axis of 1."""
    weight = 2 * np.arange(9).reshape(3, 3)
    expected, _ = read(dense(3, 4, type="dense_rec", weight_rec=weight, bias=[1, 2, 3]))
    found, unknown = read(dense(3, 4, type="recurrent", recWeight=weight, bias=[[1, 2, 3]]))
    assert (found.kind, unknown) == ("dense_rec", [])
    np.testing.assert_array_equal(found.weight_rec, expected.weight_rec)
    assert found.bias.tolist() == expected.bias.tolist() == [1, 2, 3]
    with pytest.raises(FileFormatError, match="it is dense_rec there"):
        read(dense(3, 4, type="recurrent", recWeight=weight), as_stock=True)


@pytest.mark.parametrize("kind", ["convT", "unpool"])
def test_what_stock_lacks_is_not_run_as_stock(read, conv, kind):
    with pytest.raises(FileFormatError, match="stock netx cannot run"):
        read(conv([2, 6, 5], 2, (2, 2), type=kind), as_stock=True)


def test_input_layers(read):
    layer, _ = read({"type": "input", "shape": [3, 16, 8], "weight": [36.0], "bias": 34.0})
    assert (layer.shape, layer.neuron, layer.transform) == ((8, 16, 3), None, (36.0, 34.0))
    assert read({"type": "input"})[0].shape == ()


def test_unknown_fields_are_named(read, dense):
    assert [place.rpartition(":")[2] for place in read(dense(3, 4, colour=3))[1]] == ["/layer/0/colour"]


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("average", "does not say what is averaged"),
        ("concat", "does not say which layers are joined"),
        ("dense_comp", "lava-dl never writes it"),
    ],
)
def test_types_that_cannot_be_read_are_named(read, kind, why):
    with pytest.raises(FileFormatError, match=f"/layer/0: layer type '{kind}' is not supported: .*{why}"):
        read({"type": kind, "shape": [1]})


CASES = {
    "unknown layer type 'norm'; known are input, dense, dense_rec, recurrent, conv, pool, convT, unpool, flatten": {
        "type": "norm"
    },
    "has no 'type'": {},
}


@pytest.mark.parametrize("text", CASES)
def test_unknown_types(read, text):
    with pytest.raises(FileFormatError, match=text):
        read(CASES[text])


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"weight": np.zeros((2, 4))}, r"weight: must be \(3, number of inputs\), got \(2, 4\)"),
        ({"weight": np.zeros(7)}, r"weight: must be \(3, number of inputs\), got \(7,\)"),
        ({"weight": np.full((3, 4), 0.5)}, "weight: must hold integers, got 0.5; --as-stock"),
        ({"weight": np.full((3, 4), np.nan)}, "weight: holds NaN"),
        ({"weight": {"real": 1, "imag": 1}}, "weight: complex weights need resonators, got Cuba"),
        ({"bias": [1.0, 2.0]}, r"bias: must have one value, 3 or \(3,\), got shape \(2,\)"),
        ({"bias": [40000.0] * 3}, "bias: must lie in -32768..32767"),
        ({"delay": [0.0, 1, 125]}, "delay: delays must lie in 0..124, got 0 to 125; --as-stock clamps them"),
        ({"delay": [-1.0, 1, 2]}, "delay: delays must lie in 0..124, got -1 to 2$"),
        ({"shape": [0]}, "shape: must lie in 1.."),
        (
            {"neuron": {"type": "ALIF"}},
            "neuron type 'ALIF' is not supported; supported are CUBA, LOIHI, SDNN, RF_PHASE",
        ),
        ({"neuron": {"type": "RF"}}, "neuron type 'RF': does not say which form"),
        ({"neuron": {"type": "ADRF_PHASE"}}, "neuron type 'ADRF_PHASE': adaptive thresholds do not exist"),
    ],
)
def test_bad_dense_layers(read, dense, more, text):
    with pytest.raises(FileFormatError, match=text):
        read(dense(3, 4, **more))


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"gradedSpike": True}, "gradedSpike: graded spikes cannot be represented"),
        ({"messageBits": 8}, "messageBits: graded spikes"),
        ({"weight_exp": 2}, "weight_exp: a weight exponent"),
        ({"wgtExp": 1}, "wgtExp: a weight exponent"),
        ({"refDelay": 2}, "refDelay: a refractory period"),
        ({"iDecay": 5000}, "iDecay: must lie in 0..4096"),
        ({"vDecay": [1, 2]}, r"vDecay: of shape \(2,\) does not fit the layer's shape \(3,\)"),
        ({"vThMant": -1}, "vThMant: must lie in 0..262143"),
    ],
)
def test_bad_neurons(read, dense, more, text):
    with pytest.raises(FileFormatError, match=text):
        read(dense(3, 4, neuron={**dense(3, 4)["neuron"], **more}))


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"shape": [6]}, "shape: must be .channel, height, width."),
        ({"weight": np.zeros((2, 1, 3))}, "weight: must be .out, in / groups"),
        ({"stride": 0}, "stride: must lie in 1.."),
        ({"padding": -1}, "padding: must lie in 0.."),
        ({"dilation": [1, 2, 3]}, "dilation: must be one or two numbers"),
        ({"groups": 0}, "groups: must lie in 1.."),
    ],
)
def test_bad_convolutions(read, conv, more, text):
    with pytest.raises(FileFormatError, match=text):
        read({**conv([2, 6, 5], 1, (3, 3)), **more})


def test_as_stock_drops_wraps_and_clamps(read, dense):
    neuron = {**dense(3, 4)["neuron"], "gradedSpike": True, "refDelay": 4}
    fields = dense(
        3, 4, bias=[40000.0, -1.9, 1.9], delay=[100.0, 3.7, 0], weight=np.full((3, 4), -2.5), neuron=neuron
    )
    layer, _ = read(fields, as_stock=True)
    assert layer.bias.tolist() == [40000 - 65536, -1, 1]
    assert layer.delay.tolist() == [62, 3, 0]
    assert np.all(layer.weight == -2)
