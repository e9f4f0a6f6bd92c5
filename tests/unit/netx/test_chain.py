"""What the numbers of a stock file mean, above all where stock netx and training differ."""

import warnings

import h5py
import numpy as np
import pytest

import pumice
from pumice.errors import FileFormatError, InputError, PumiceWarning
from pumice.ir import Dense, Direct, flatten_whc
from pumice.netx import load
from pumice.netx.delays import simplest_delay


def spikes(shape, n_steps=60, density=0.4):
    return (np.random.default_rng(9).random((n_steps, *shape)) < density).astype(int)


def later(x, delays):
    """Each source's (or channel's) spikes, delayed by its own number of steps: what training did."""
    out = np.zeros_like(x)
    for index, delay in enumerate(np.broadcast_to(delays, x.shape[-1:])):
        out[delay:, ..., index] = x[: len(x) - delay, ..., index]
    return out


def stages(write, layers, delays, x):
    """Each layer run alone, its spikes delayed by hand; the later layers start with the first ones' latency."""
    for layer, delay in zip(layers, delays, strict=True):
        fields = {k: v for k, v in layer.items() if k != "delay"}
        if x.ndim == 4 and "stride" not in fields:
            x = np.stack([flatten_whc(step) for step in x])
        options = {"input_shape": x.shape[1:]} if x.ndim == 4 else {}
        x = later(pumice.run(load(write(fields), **options), x).spikes, delay)
    return x


def test_names_shapes_and_order(write, dense):
    layers = [dense(5, 4), *(dense(5, 5) for _ in range(10))]
    graph = load(write(*layers))
    assert [p.name for p in graph.populations] == [f"layer{i}" for i in range(11)]
    assert (graph.input.shape, graph.outputs, graph.latency) == ((4,), ("layer10",), 11)


def test_input_neurons_are_fed_directly(write, dense):
    entry = {"type": "input", "shape": [2, 2, 3], "neuron": dense(1, 1)["neuron"], "weight": 36.0, "bias": [34.0]}
    graph = load(write(entry, {"type": "flatten"}, dense(4, 12)))
    assert isinstance(graph.synapses[0], Direct)
    assert graph.synapses[0].graded
    assert (graph.input.shape, graph.latency) == ((3, 2, 2), 1)
    assert graph.info == {"netx_input_weight": "36", "netx_input_bias": "34"}


def test_what_the_data_loader_is_told_comes_back_to_its_last_bit(write, dense, tmp_path):
    neuron = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 40}
    numbers = {"weight": np.float32([61.728394]), "bias": np.float32([-0.1])}
    entry = {"type": "input", "shape": [4], "neuron": neuron, **numbers}
    pumice.save(load(write(entry, dense(3, 4))), tmp_path / "b.net")
    with h5py.File(tmp_path / "b.net") as file:
        assert {name: file["layer/0"][name][()] for name in numbers} == numbers


def test_delays_without_bias_stay_on_the_neurons_own_inputs(write, dense):
    layers = [dense(5, 6, delay=[0, 3, 1, 9, 2]), dense(4, 5, delay=[7, 0, 2, 1])]
    x = spikes((6,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = load(write(*layers))
    assert graph.synapses[0].delay_steps.shape == (5, 6)
    np.testing.assert_array_equal(
        pumice.run(graph, x).spikes, stages(write, layers, [layers[0]["delay"], layers[1]["delay"]], x)
    )


def test_delays_with_bias_move_to_the_next_layer(write, dense):
    bias = [9, -20, 0, 30, 5]
    layers = [dense(5, 6, delay=[0, 3, 1, 9, 2], bias=bias), dense(4, 5, bias=[5, 0, 9, -9])]
    x = spikes((6,))
    path = write(*layers)
    with pytest.warns(PumiceWarning, match="stock netx delays the inputs"):
        graph = load(path)
    assert graph.synapses[0].delay_steps == 0
    assert graph.synapses[1].delay_steps.tolist() == [0, 3, 1, 9, 2]
    trained = stages(write, layers, [layers[0]["delay"], 0], x)
    got = pumice.run(graph, x).spikes
    assert got.any()
    np.testing.assert_array_equal(got, trained)
    stock = load(write(*layers), as_stock=True)
    assert stock.synapses[0].delay_steps[:, 0].tolist() == [0, 3, 1, 9, 2]
    assert np.any(pumice.run(stock, x).spikes != trained)


@pytest.mark.parametrize("bias", [{}, {"bias": [100, -40, 700, 0, 3]}])
def test_delays_beyond_62_steps_pass_a_relay(write, dense, bias):
    layers = [dense(5, 6, delay=[0, 64, 1, 62, 124], **bias), dense(4, 5)]
    x = spikes((6,), n_steps=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PumiceWarning)
        graph = load(write(*layers))
    assert [p.shape for p in graph.populations] == [(5,), (3,), (4,)]
    assert graph.latency == 3  # one step more than two layers have
    trained = stages(write, layers, [layers[0]["delay"], 0], x)
    found = pumice.run(graph, x).spikes
    np.testing.assert_array_equal(found[1:], trained[:-1])
    assert trained[130:].any()
    np.testing.assert_array_equal(found, pumice.run(graph, x, backend="reference").spikes)


def test_delays_that_no_relay_can_bring_are_refused(write, dense, conv):
    apart = np.zeros((4, 5), int)
    apart[0, 2] = 64
    with pytest.raises(FileFormatError, match="a source's delays may be at most 62 apart, and 124 long"):
        load(write(dense(5, 6), dense(4, 5, delay=apart)))
    with pytest.raises(FileFormatError, match=r"delays must lie in 0\.\.124, got 0 to 125"):
        load(write(dense(5, 6, delay=[0, 125, 0, 0, 0]), dense(4, 5)))
    layers = conv([4, 4, 5], 2, (3, 3), delay=[0, 63, 1, 2]), conv([3, 3, 4], 4, (2, 2))
    with (
        pytest.warns(PumiceWarning, match="drops the delays"),
        pytest.raises(FileFormatError, match=r"into a conv layer must lie in 0\.\.62"),
    ):
        load(write(*layers), input_shape=(6, 7, 2))


def test_delays_of_a_recurrent_layer_do_not_delay_its_recurrence(write, dense):
    rec = dense(5, 6, type="dense_rec", weight_rec=dense(5, 5)["weight"], delay=[0, 3, 1, 9, 2])
    x = spikes((6,))
    with pytest.warns(PumiceWarning, match="recurrent spikes included"):
        graph = load(write(rec, dense(4, 5)))
    assert [s.max_delay_steps for s in graph.synapses] == [0, 0, 9]
    np.testing.assert_array_equal(
        pumice.run(graph, x).spikes, stages(write, [rec, dense(4, 5)], [rec["delay"], 0], x)
    )


def test_delays_of_convolutions(write, dense, conv):
    first, second = conv([4, 4, 5], 2, (3, 3), delay=[0, 4, 1, 2]), conv([3, 3, 4], 4, (2, 2), delay=[5.0, 0, 2])
    last = dense(4, 36)
    x = spikes((7, 6, 2))
    path = write(first, second, {"type": "flatten"}, last)
    with pytest.warns(PumiceWarning, match="stock netx drops the delays of a convolution"):
        graph = load(path, input_shape=(7, 6, 2))
    assert graph.synapses[1].delay_steps.tolist() == [0, 4, 1, 2]
    assert graph.synapses[2].delay_steps.tolist() == [5] * 12 + [0] * 12 + [2] * 12
    trained = stages(write, [first, second, last], [first["delay"], np.array([5, 0, 2]), 0], x)
    np.testing.assert_array_equal(pumice.run(graph, x).spikes, trained)
    path = write(first, second, {"type": "flatten"}, last)
    assert not any(s.max_delay_steps for s in load(path, input_shape=(7, 6, 2), as_stock=True).synapses)


def test_own_delays_add_to_those_of_the_source(write, dense):
    layers = [dense(5, 6, delay=[0, 3, 1, 9, 2], bias=[9] * 5), dense(4, 5, delay=[7, 0, 2, 1])]
    with pytest.warns(PumiceWarning):
        graph = load(write(*layers))
    assert graph.synapses[1].delay_steps[0].tolist() == [7, 10, 8, 16, 9]
    x = spikes((6,))
    trained = stages(write, layers, [layers[0]["delay"], layers[1]["delay"]], x)
    np.testing.assert_array_equal(pumice.run(graph, x).spikes, trained)
    layers[1]["delay"] = [60, 0, 0, 0]
    with pytest.warns(PumiceWarning):
        graph = load(write(*layers))  # 69 steps together
    trained = stages(write, layers, [layers[0]["delay"], layers[1]["delay"]], x)
    np.testing.assert_array_equal(pumice.run(graph, x).spikes[1:], trained[:-1])


@pytest.mark.parametrize("bias", [None, [0, 0, 0]])
def test_a_bias_of_zero_is_none(write, dense, bias):
    more = {} if bias is None else {"bias": bias}
    assert load(write(dense(3, 4, delay=[1, 2, 3], **more))).synapses[0].max_delay_steps == 3


def test_weights_that_stock_changes_are_kept_as_trained(write, dense):
    path = write(dense(2, 2, weight=[[-256, -2], [-4, -6]]))
    with pytest.warns(PumiceWarning, match="stock netx changes these weights"):
        graph = load(path)
    assert graph.synapses[0].weight[0, 0] == -256
    assert load(path, as_stock=True).synapses[0].weight[0, 0] == -254


def test_all_zero_weights_are_accepted(write, dense):
    """Stock netx crashes on them."""
    assert not load(write(dense(3, 4, weight=np.zeros((3, 4))))).synapses[0].weight.any()


def test_a_shape_that_does_not_fit_is_ignored_as_in_stock(write, dense):
    path = write({"type": "input", "shape": [3, 3]}, dense(3, 4))
    with pytest.warns(PumiceWarning, match="4 values are used"):
        assert load(path).input.shape == (4,)


def test_input_shape_is_used_where_the_file_states_none(write, dense, conv):
    assert load(write(dense(3, 12)), input_shape=(3, 2, 2)).input.shape == (3, 2, 2)
    path = write({"type": "input", "shape": [12]}, dense(3, 12))
    assert load(path, input_shape=(3, 2, 2)).input.shape == (12,)
    with pytest.raises(InputError, match=r"takes 12 values, got an input of shape \(5,\)"):
        load(write(dense(3, 12)), input_shape=(5,))
    with pytest.raises(FileFormatError, match="pass input_shape"):
        load(write(conv([2, 4, 4], 1, (3, 3))))
    for shape in ((16,), (4, 4)):
        with pytest.raises(InputError, match=r"/layer/0: takes an image \(x, y, channel\), got an input of shape"):
            load(write(conv([2, 4, 4], 1, (3, 3))), input_shape=shape)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda d, c: [d(3, 4), d(3, 5)], "/layer/1/weight: takes 5 values, its source has 3"),
        (lambda d, c: [d(3, 4), {"type": "input", "shape": [3]}], "/layer/1: only the first layer"),
        (lambda d, c: [{"type": "input", "shape": [3]}], "holds no layer with neurons"),
        (lambda d, c: [c([2, 4, 4], 2, (3, 3)), d(3, 32)], "/layer/1: a dense layer after shape"),
        (lambda d, c: [d(3, 4), c([2, 4, 4], 2, (3, 3))], r"/layer/1: a conv layer needs an image .*, got \(3,\)"),
        (
            lambda d, c: [d(3, 4), c([2, 4, 4], 1, (2, 2), type="pool", weight=[[[[2]]]])],
            "/layer/1: a pool layer needs an image",
        ),
        (
            lambda d, c: [{"type": "input", "shape": [3]}, c([2, 4, 4], 2, (3, 3))],
            "/layer/1: a conv layer needs an image",
        ),
        (lambda d, c: [{"type": "flatten"}, c([2, 4, 4], 2, (3, 3))], "/layer/1: a conv layer cannot follow"),
        (
            lambda d, c: [c([2, 4, 5], 2, (3, 3))],
            r"the convolution gives shape \(4, 4, 2\), its target has \(5, 4, 2\)",
        ),
        (lambda d, c: [c([3, 4, 4], 1, (3, 3), groups=2)], "groups = 2 must divide"),
        (lambda d, c: [c([2, 4, 4], 2, (3, 3), weight=np.full((2, 2, 3, 3), 300))], "must lie in -256..255, got 300"),
        (lambda d, c: [c([2, 4, 4], 2, (3, 3), padding=2**15)], "padding: the padded source has"),
        (
            lambda d, c: [c([2, 4, 4], 2, (3, 3), delay=[1, 2, 3])],
            "must have one value or one per channel .2., got 3",
        ),
        (lambda d, c: [d(2, 2, weight=[[300, -2], [2, 2]])], "weights of -2 to 300 do not fit 8 bits"),
        (lambda d, c: [d(2, 2, weight=[[255, -2], [2, 2]])], "weights of -2 to 255 do not fit 8 bits"),
        (lambda d, c: [d(3, 4, delay=[1, 2])], r"must have one value, 3, 4 or \(3, 4\), got \(2,\)"),
        (lambda d, c: [d(3, 4, type="dense_rec", weight_rec=np.eye(4))], "weight_rec: must be .3, number of inputs."),
        (lambda d, c: [d(3, 4, type="dense_rec", weight_rec=np.ones((3, 4)))], r"weight_rec: must be \(3, 3\)"),
        (lambda d, c: [d(3, 4, type="dense_rec", weight_rec=2 * np.eye(3), delay=np.ones((3, 4)))], "one delay per"),
    ],
)
def test_layers_that_do_not_fit(write, dense, conv, build, text):
    layers = build(dense, conv)
    input_shape = (6, 6, 2) if "stride" in layers[0] or layers[0]["type"] == "flatten" else None
    path = write(*layers)
    with pytest.raises(FileFormatError, match=text):
        load(path, input_shape=input_shape)


@pytest.mark.filterwarnings("ignore::pumice.errors.PumiceWarning")
@pytest.mark.parametrize("more", [{"bias": [1] * 3}, {"type": "dense_rec", "weight_rec": np.eye(3) * 2}])
def test_trained_delays_of_the_last_layer_have_no_place(write, dense, more):
    path = write(dense(3, 3, delay=[1, 2, 3], **more))
    with pytest.raises(FileFormatError, match="last layer's outputs cannot be represented"):
        load(path)
    assert load(path, as_stock=True).synapses[0].max_delay_steps == 3


def test_graded_input(write, dense):
    path = write(dense(3, 4), dense(2, 3))
    assert [s.graded for s in load(path).synapses] == [False, False]
    assert [s.graded for s in load(path, input_message_bits=8).synapses] == [True, False]
    with pytest.raises(InputError, match="input_message_bits must lie in"):
        load(path, input_message_bits=-1)


def test_what_left_out_layers_send_decides_whether_it_is_multiplied(write, dense):
    """Stock netx, too, takes the message bits of the last layer that it made, and not the argument."""
    sdnn = {"type": "SDNN", "activation": "relu", "vThMant": 3}
    for more, graded in (({}, False), ({"neuron": sdnn}, True)):
        path = write(dense(3, 4, **more), dense(2, 3))
        for bits in (None, 0, 8):
            for options in ({}, {"as_stock": True}):
                graph = load(path, skip_layers=1, input_message_bits=bits, **options)
                assert graph.synapses[0].graded == graded
    path = write({"type": "input", "shape": [4]}, dense(3, 4), dense(2, 3))
    assert load(path, skip_layers=1, input_message_bits=8).synapses[0].graded


def test_nothing_is_left_to_read(write, dense):
    path = write({"type": "input", "shape": [4]}, dense(3, 4))
    for options in ({"num_layers": 1}, {"skip_layers": 2}):
        with pytest.raises(FileFormatError, match=r"^\S*network\.net: holds no layer with neurons"):
            load(path, **options)


def test_num_layers(write, dense):
    path = write(dense(3, 4), dense(2, 3), {"type": "average"})
    assert load(path, num_layers=2).outputs == ("layer1",)
    for options, message in (
        ({"num_layers": 0}, "num_layers must be at least 1, got 0"),
        ({"skip_layers": None}, "skip_layers must be at least 0, got None"),
        ({"spike_exp": 6.5}, r"spike_exp must lie in 0\.\.7, got 6.5"),
        ({"input_message_bits": "8"}, r"input_message_bits must lie in 0\.\.24, got '8'"),
    ):
        with pytest.raises(InputError, match=message):
            load(path, **options)


def test_unknown_fields_are_ignored_with_a_warning(write, dense):
    path = write(dense(3, 4, colour=7), simulation={"Ts": 1})
    with pytest.warns(PumiceWarning, match="/layer/0/colour: unknown field, ignored"):
        graph = load(path)
    assert isinstance(graph.synapses[0], Dense)


@pytest.mark.parametrize(
    ("delay", "simplest"),
    [
        ([[2, 2], [2, 2]], 2),
        ([[1, 2]], [1, 2]),
        ([[1], [2]], [[1, 1], [2, 2]]),
        ([[1, 2], [1, 3]], [[1, 2], [1, 3]]),
        ([1, 2], [1, 2]),
    ],
)
def test_simplest_delay(delay, simplest):
    found = simplest_delay(np.array(delay), 2)
    assert (found if isinstance(found, int) else found.tolist()) == simplest
