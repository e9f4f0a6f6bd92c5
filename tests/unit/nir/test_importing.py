"""Each primitive against an independent float simulation; the same comparison fails for a planted defect."""

import numpy as np
import pytest

from pumice import PumiceError, from_nir
from pumice.ir import Conv, Dense, verify_graph
from pumice.nir.reader import FIELDS

N, T, DT = 3, 40, 1e-4


def steps(values, unit=64):
    """Numbers that are whole in units of 1/64: at some scale no weight is rounded."""
    return np.round(np.asarray(values) * unit) / unit


def weight(*shape, seed=1, size=0.8, mean=0.1):
    return steps(np.random.default_rng(seed).uniform(mean - size, mean + size, shape))


def linear(n_out, n_in, **more):
    return {"type": "Linear", "weight": weight(n_out, n_in, **more)}


def affine(n_out, n_in, **more):
    return {"type": "Affine", "weight": weight(n_out, n_in, **more), "bias": steps(np.linspace(-0.1, 0.2, n_out))}


def if_(*shape, threshold=1.0, r=1.0):
    return {
        "type": "IF",
        "r": np.full(shape, r),
        "v_threshold": np.full(shape, threshold),
        "v_reset": np.zeros(shape),
    }


def lif(*shape, tau=2.0, r=None, threshold=1.0, leak=0.0, reset=0.0):
    full = {"tau": tau * DT, "r": tau if r is None else r, "v_threshold": threshold, "v_leak": leak, "v_reset": reset}
    return {"type": "LIF", **{key: np.full(shape, value) for key, value in full.items()}}


def cuba(*shape, tau_syn=2.0, tau_mem=4.0, threshold=1.0):
    full = {"tau_syn": tau_syn * DT, "tau_mem": tau_mem * DT, "r": tau_mem, "w_in": tau_syn, "v_leak": 0.0}
    full |= {"v_threshold": threshold, "v_reset": 0.0}
    return {"type": "CubaLIF", **{key: np.full(shape, value) for key, value in full.items()}}


def conv(n_out, n_in, kernel, *, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, bias=0.0):
    w = weight(n_out, n_in // groups, *kernel, size=0.5)
    pads = padding if isinstance(padding, str) else np.array(padding)
    fields = {"weight": w, "stride": np.array(stride), "padding": pads, "dilation": np.array(dilation)}
    return {"type": "Conv2d", **fields, "groups": groups, "bias": np.full(n_out, bias)}


def pool(kind, size, stride=None):
    fields = {"kernel_size": np.array(size), "stride": np.array(stride or size), "padding": np.array([0, 0])}
    return {"type": kind, **fields}


FLATTEN = {"type": "Flatten", "start_dim": 0, "end_dim": -1}
AT_THRESHOLD, SOFT, WRONG_DT, LATE = {"at_threshold": True}, {"soft": True}, {"dt": 0.5 * DT}, {"late": 1}

CHAINS = {
    "IF": ((6,), [linear(5, 6), if_(5)], [AT_THRESHOLD, SOFT]),
    "IF, r = 1 / dt": ((6,), [linear(5, 6), if_(5, r=1e4)], [AT_THRESHOLD, SOFT, WRONG_DT]),
    "threshold of each neuron": ((6,), [linear(3, 6), {**if_(3), "v_threshold": np.array([0.5, 1, 2])}], [SOFT]),
    "LIF": ((6,), [linear(5, 6), lif(5)], [SOFT, WRONG_DT]),
    "LIF with bias": ((6,), [affine(5, 6), lif(5, tau=4.0)], [SOFT, WRONG_DT]),
    "v_leak": ((6,), [linear(5, 6), lif(5, leak=0.5)], [SOFT, WRONG_DT]),
    "v_reset = v_leak": ((6,), [linear(5, 6), lif(5, leak=0.25, reset=0.25)], [SOFT, WRONG_DT]),
    "CubaLIF": ((6,), [linear(5, 6, size=0.3), cuba(5)], [SOFT, WRONG_DT]),
    # Whole sums meet the threshold itself where nothing is left of the step before.
    "LIF at its threshold": ((6,), [linear(5, 6), lif(5, tau=1.0, threshold=0.5)], [AT_THRESHOLD, WRONG_DT]),
    "CubaLIF at its threshold": (
        (6,),
        [linear(5, 6), cuba(5, tau_syn=1.0, tau_mem=1.0, threshold=0.5)],
        [AT_THRESHOLD, WRONG_DT],
    ),
    "CubaLIF with bias": ((6,), [affine(5, 6, size=0.3), cuba(5)], [SOFT, WRONG_DT]),
    "Threshold": ((6,), [linear(5, 6), {"type": "Threshold", "threshold": np.full(5, 0.5)}], [AT_THRESHOLD]),
    "Scale": ((6,), [linear(5, 6), {"type": "Scale", "scale": np.array([1, 1, 0.5, 1, 1])}, if_(5)], [SOFT]),
    "two layers": ((6,), [linear(5, 6), if_(5), linear(4, 5, mean=0.5), if_(4)], [AT_THRESHOLD, SOFT]),
    "Delay": ((6,), [{"type": "Delay", "delay": np.full(6, 3 * DT)}, linear(5, 6), if_(5)], [LATE, SOFT]),
    "Delay of each neuron": (
        (3,),
        [{"type": "Delay", "delay": DT * np.array([0, 1, 4])}, linear(5, 3), if_(5)],
        [LATE],
    ),
    "convolution": ((2, 7, 5), [conv(4, 2, (3, 3), padding=(1, 1)), if_(4, 7, 5)], [AT_THRESHOLD, SOFT]),
    "not square": ((2, 8, 6), [conv(4, 2, (3, 5), stride=(2, 1), padding=(0, 2)), if_(4, 3, 6)], [SOFT]),
    "groups, dilation": ((4, 7, 6), [conv(6, 4, (2, 3), dilation=(2, 1), groups=2), if_(6, 5, 4)], [SOFT]),
    "same, even kernel": ((2, 6, 5), [conv(3, 2, (2, 4), padding="same"), if_(3, 6, 5)], [SOFT]),
    "convolution with bias": ((2, 5, 5), [conv(3, 2, (3, 3), bias=0.125), lif(3, 3, 3)], [SOFT, WRONG_DT]),
    "filtered bias, image": ((2, 5, 5), [conv(3, 2, (3, 3), bias=0.0625), cuba(3, 3, 3)], [SOFT, WRONG_DT]),
    "SumPool into neurons": ((3, 6, 4), [pool("SumPool2d", (2, 2)), if_(3, 3, 2, threshold=2.0)], [AT_THRESHOLD]),
    "SumPool, convolution": (
        (2, 8, 8),
        [pool("SumPool2d", (2, 2)), conv(3, 2, (3, 3), padding=(1, 1)), if_(3, 4, 4)],
        [AT_THRESHOLD, SOFT],
    ),
    "overlapping SumPool, convolution": (
        (2, 7, 7),
        [pool("SumPool2d", (3, 3), (2, 2)), conv(3, 2, (2, 2), padding=(1, 1)), if_(3, 4, 4)],
        [SOFT],
    ),
    "AvgPool that cuts a row": (
        (2, 7, 5),
        [pool("AvgPool2d", (2, 2)), conv(3, 2, (3, 3), padding=(1, 1)), if_(3, 3, 2, threshold=0.5)],
        [SOFT],
    ),
    "pool, flatten, linear": (
        (2, 4, 6),
        [if_(2, 4, 6, threshold=0.5), pool("AvgPool2d", (2, 2)), FLATTEN, linear(5, 12, mean=0.4), if_(5)],
        [SOFT],
    ),
    "flatten into neurons": ((2, 3, 2), [FLATTEN, if_(12, threshold=2.0)], [AT_THRESHOLD]),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_primitive_gives_the_float_spikes_and_a_defect_does_not(name, chain_nir, simulate, run_graph, spikes):
    shape, nodes, defects = CHAINS[name]
    path, x = chain_nir(shape, *nodes), spikes(N, T, *shape)
    graph = from_nir(path, dt=DT, weights="8bit", sample_steps=T)
    expected, got = simulate(path, x, dt=DT), run_graph(graph, x)
    assert 0.02 < expected.mean() < 0.98
    np.testing.assert_array_equal(got, expected)
    for defect in defects:
        assert np.any(simulate(path, x, **{"dt": DT, **defect}) != got), defect


def test_exponential_decays(chain_nir, simulate, run_graph, spikes):
    tau = 1 / np.log(2)  # a decay of a half
    path, x = chain_nir((6,), linear(5, 6), lif(5, tau=tau, r=2.0)), spikes(N, T, 6)
    got = run_graph(from_nir(path, dt=DT, decay="exponential", sample_steps=T), x)
    np.testing.assert_array_equal(got, simulate(path, x, dt=DT, exponential=True))
    assert np.any(got != simulate(path, x, dt=DT))


def recurrent(write_nir, neuron, *, bias=False):
    nodes = {
        "input": {"type": "Input", "shape": [6]},
        "fc": (affine if bias else linear)(5, 6, size=0.4, mean=0.2),
        "lif": neuron,
        "w_rec": (affine if bias else linear)(5, 5, seed=2, size=0.4),
        "output": {"type": "Output", "shape": [5]},
    }
    return write_nir(nodes, [("input", "fc"), ("fc", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")])


@pytest.mark.parametrize("neuron", [if_(5), lif(5), cuba(5, threshold=2.0)], ids=["IF", "LIF", "CubaLIF"])
def test_recurrence_is_one_step_late_and_does_not_leak_between_samples(
    neuron, write_nir, simulate, run_graph, spikes
):
    path, x = recurrent(write_nir, neuron), spikes(N, T, 6)
    got = run_graph(from_nir(path, dt=DT, sample_steps=T), x)
    np.testing.assert_array_equal(got, simulate(path, x, dt=DT))
    assert np.any(got != simulate(path, x, dt=DT, late=1))
    assert np.any(got != simulate(path, x, dt=DT, **SOFT))


@pytest.mark.parametrize("seed", [5, 7, 58, 63])
def test_rounded_weights_keep_what_exact_ones_keep_of_24_bits(seed, slow_loop, simulate, run_graph, spikes):
    path, n = slow_loop(seed)
    x = spikes(N, T, n)
    got = run_graph(from_nir(path, dt=DT, sample_steps=T), x)
    assert np.mean(got != simulate(path, x, dt=DT)) < 0.05


def test_a_residual_edge_adds_up_what_is_of_one_step(write_nir, simulate, run_graph, spikes):
    ends = {"input": {"type": "Input", "shape": [6]}, "output": {"type": "Output", "shape": [5]}}
    inner = {
        "a": linear(5, 6),
        "l": if_(5),
        "b": linear(5, 5, seed=3),
        "m": if_(5),
        "c": linear(5, 5, seed=4, mean=0.3),
    }
    edges = [("input", "a"), ("a", "l"), ("l", "b"), ("b", "m"), ("m", "c"), ("c", "o"), ("l", "o"), ("o", "output")]
    path, x = write_nir({**ends, **inner, "o": if_(5)}, edges), spikes(N, T, 6)
    graph = from_nir(path, dt=DT, sample_steps=T)
    np.testing.assert_array_equal(run_graph(graph, x), simulate(path, x, dt=DT))
    assert np.any(run_graph(graph, x) != simulate(path, x, dt=DT, **SOFT))
    unbalanced = graph.replace(
        synapses=tuple(
            s if (s.source, s.target) != ("l", "o") else type(s)(s.source, s.target, weight=s.weight, delay_steps=1)
            for s in graph.synapses
        ),
        timing=None,
    )
    with pytest.raises(PumiceError, match="different"):
        _ = unbalanced.latency


def test_conv1d_is_a_convolution_of_one_row(chain_nir, simulate, run_graph, spikes):
    fields = {"stride": 2, "padding": 1, "dilation": 1, "groups": 1, "bias": np.zeros(4)}
    path = chain_nir((3, 9), {"type": "Conv1d", "weight": weight(4, 3, 3), **fields}, if_(4, 5))
    x = spikes(N, T, 3, 9)
    graph = from_nir(path, dt=DT)
    got = run_graph(graph, x)[:, :, :, 0]
    assert isinstance(graph.synapses[0], Conv)
    np.testing.assert_array_equal(got, simulate(path, x, dt=DT))
    for defect in (AT_THRESHOLD, SOFT):
        assert np.any(got != simulate(path, x, dt=DT, **defect)), defect


@pytest.mark.parametrize("neuron", ["LI", "CubaLI", "I"])
def test_a_readout_gives_the_voltage_in_its_unit(neuron, chain_nir, simulate, run_graph, spikes):
    fields = {
        key: value for key, value in (cuba(5) if "Cuba" in neuron else lif(5)).items() if not key.startswith("v_t")
    }
    fields.pop("v_reset")
    if neuron == "I":
        fields = {"r": np.full(5, 1 / DT)}
    path, x = chain_nir((6,), linear(5, 6), {**fields, "type": neuron}), spikes(N, T, 6)
    graph = from_nir(path, dt=DT, weights="split", sample_steps=T)
    voltage = run_graph(graph, x) * float(graph.info["unit"])
    expected = simulate(path, x, dt=DT)
    np.testing.assert_allclose(voltage, expected, atol=2e-3)
    for defect in (simulate(path, x, dt=0.5 * DT), np.roll(expected, 1, axis=1)):
        assert np.abs(voltage - defect).max() > 0.1


def test_a_linear_node_at_the_end_is_read_out(chain_nir, simulate, run_graph, spikes):
    path, x = chain_nir((6,), linear(5, 6), if_(5), linear(2, 5)), spikes(N, T, 6)
    graph = from_nir(path, dt=DT)
    sent = run_graph(graph, x) * float(graph.info["unit"])
    np.testing.assert_allclose(sent, simulate(path, x, dt=DT), atol=1e-6)
    for defect in (AT_THRESHOLD, SOFT):
        assert np.abs(sent - simulate(path, x, dt=DT, **defect)).max() > 0.01, defect


def test_values_enter_by_an_input_scale(chain_nir, simulate, run_graph, rng):
    path, x = chain_nir((6,), linear(5, 6), if_(5)), rng.integers(-8, 9, size=(N, T, 6))
    graph = from_nir(path, dt=DT, input_range=(-8, 8), input_scale=4.0)
    got = run_graph(graph, x)
    np.testing.assert_array_equal(got, simulate(path, x / 4, dt=DT))
    assert np.any(got != simulate(path, x / 4, dt=DT, **SOFT))
    assert np.any(got != simulate(path, x / 2, dt=DT))


def test_split_weights_come_nearer_to_any_weights(chain_nir, simulate, run_graph, spikes, rng):
    path = chain_nir((20,), {"type": "Linear", "weight": rng.normal(0.02, 0.3, (30, 20))}, lif(30))
    x = spikes(8, 100, 20)
    expected = simulate(path, x, dt=DT)
    differ = {w: np.sum(run_graph(from_nir(path, dt=DT, weights=w), x) != expected) for w in ("8bit", "split")}
    assert differ["split"] < differ["8bit"] / 4
    assert differ["8bit"] < 0.01 * expected.size


def test_eight_bits_are_used_and_24_are_not_left(chain_nir, rng):
    path = chain_nir((20,), {"type": "Linear", "weight": rng.normal(0, 3.0, (30, 20))}, cuba(30))
    graph = from_nir(path, dt=DT)
    (synapse,) = graph.synapses
    assert isinstance(synapse, Dense)
    assert 240 <= np.abs(synapse.weight).max() <= 256
    assert "current u could" not in graph.info["nir_report"]


def test_the_report_counts_what_differs_from_a_float_simulation(chain_nir, simulate, run_graph, spikes, rng):
    path = chain_nir((20,), {"type": "Linear", "weight": rng.normal(0.02, 0.3, (30, 20))}, lif(30))
    x = spikes(8, 100, 20)
    graph = verify_graph(from_nir(path, dt=DT, calibrate=x))
    differ = np.sum(run_graph(graph, x) != simulate(path, x, dt=DT))
    assert differ > 0
    assert f"n1: {differ} of 24000 differ" in graph.info["nir_report"]
    assert graph.timing.sample_steps == 100


def test_the_report_says_how_many_are_right(chain_nir, simulate, run_graph, spikes, rng):
    path = chain_nir((20,), {"type": "Linear", "weight": rng.normal(0.02, 0.3, (4, 20))}, lif(4))
    x, labels = spikes(40, 100, 20), rng.integers(0, 4, 40)
    graph = from_nir(path, dt=DT, calibrate=x, labels=labels)
    right = [int(np.sum(s.sum(1).argmax(1) == labels)) for s in (run_graph(graph, x), simulate(path, x, dt=DT))]
    text = (
        f"Answered right: {right[0]} of 40 ({right[0] / 40:.2%}); {right[1]} ({right[1] / 40:.2%}) in floating point."
    )
    assert text in graph.info["nir_report"]
    with pytest.raises(PumiceError, match="labels must be 40 integers, one for each sample"):
        from_nir(path, dt=DT, calibrate=x, labels=labels[:3])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"reset": "subtract"}, "they cannot subtract"),
        ({"dt": 0.0}, "dt must be a time > 0"),
        ({"decay": "linear"}, "euler, exponential"),
        ({"weights": "4bit"}, "8bit, split"),
        ({"dt": True}, "dt must be a time > 0"),
        ({"sample_steps": 0}, "sample_steps must be a whole number >= 1, got 0"),
        ({"sample_steps": 2.5}, "sample_steps must be a whole number >= 1, got 2.5"),
        ({"sample_steps": "9"}, "sample_steps must be a whole number >= 1, got '9'"),
        ({"input_range": (1, 2)}, "low <= 0"),
        ({"input_range": None}, "input_range must be integers"),
        ({"input_scale": 0}, "input_scale must be"),
        ({"input_scale": "1"}, "input_scale must be"),
        ({"calibrate": "x.npy"}, "calibrate must be an array of real numbers, got str"),
        ({"calibrate": np.zeros((4, 6), complex)}, "calibrate must be an array of real numbers"),
        ({"calibrate": np.zeros((1, 4, 6)), "labels": [5]}, r"labels must lie in 0\.\.4, .* 'n1', got 5 to 5"),
        ({"labels": [0]}, "got labels alone; give calibrate, too"),
        ({"calibrate": np.zeros((1, 4, 6)), "labels": [-1]}, r"labels must lie in 0\.\.4"),
        ({"calibrate": np.zeros((4, 7))}, r"calibrate must have shape \(T"),
        ({"calibrate": np.full((4, 6), 3)}, "must lie in input_range"),
        ({"dt": 1.0}, "shorter than dt"),
        ({"dt": 1e-9}, "sinabs writes tau in steps"),
    ],
)
def test_what_cannot_be_is_refused_with_the_remedy(change, match, chain_nir):
    path = chain_nir((6,), linear(5, 6), lif(5))
    with pytest.raises(PumiceError, match=match):
        from_nir(path, **{"dt": DT, **change})


def test_arguments_may_be_numpys(chain_nir):
    path = chain_nir((6,), linear(5, 6), lif(5))
    graph = from_nir(path, dt=np.float64(DT), sample_steps=np.int64(T), input_range=np.array([0, 1]))
    assert graph.timing == from_nir(path, dt=DT, sample_steps=T).timing
    from_nir(path, dt=np.float32(DT))


def test_biases_need_the_steps_of_a_sample(chain_nir):
    with pytest.raises(PumiceError, match="sample_steps=T"):
        from_nir(chain_nir((6,), affine(5, 6), lif(5)))


def test_every_primitive_has_its_comparison_and_a_defect():
    """Those of the chains above; the others have tests of their own."""
    types = {node["type"] for _, nodes, _ in CHAINS.values() for node in nodes}
    assert all(defects for *_, defects in CHAINS.values())
    apart = {"Input", "Output", "Conv1d", "I", "LI", "CubaLI"}
    assert types | apart == {*FIELDS}
