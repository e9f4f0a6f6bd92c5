"""NIR files as models that train: the integers of the import, then better ones."""

import numpy as np
import pytest
import torch

import pumice
from pumice import PumiceError, nn
from pumice.ir import Cuba

T, DT = 24, 1e-4


def weight(*shape, seed=1, low=-0.7, high=0.9):
    return np.random.default_rng(seed).uniform(low, high, shape)


def linear(n_out, n_in, **more):
    return {"type": "Linear", "weight": weight(n_out, n_in, **more)}


def neurons(kind, *shape, **more):
    fields = {"IF": {"r": 1.0}, "LIF": {"r": 4.0, "tau": 4 * DT, "v_leak": 0.0}}
    fields["CubaLIF"] = {"tau_syn": 2 * DT, "tau_mem": 4 * DT, "r": 4.0, "w_in": 2.0, "v_leak": 0.0}
    full = {**fields[kind], "v_threshold": 1.0, "v_reset": 0.0, **more}
    return {"type": kind, **{key: np.broadcast_to(value, shape) for key, value in full.items()}}


def conv(n_out, n_in, *kernel, bias=0.0, **more):
    fields = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **more}
    per_group = n_in // fields["groups"]
    return {"type": "Conv2d", "weight": weight(n_out, per_group, *kernel), "bias": np.full(n_out, bias), **fields}


POOL = {"type": "SumPool2d", "kernel_size": 2, "stride": 2, "padding": 0}
FLATTEN = {"type": "Flatten", "start_dim": 0, "end_dim": -1}
BIAS = {"type": "Affine", "weight": weight(5, 6), "bias": np.linspace(-0.05, 0.2, 5)}
CASES = {
    "IF": ((6,), [linear(5, 6), neurons("IF", 5)]),
    "LIF": ((6,), [linear(5, 6), neurons("LIF", 5)]),
    "CubaLIF": ((6,), [linear(5, 6), neurons("CubaLIF", 5, v_threshold=2.0)]),
    "thresholds and decays of each": (
        (6,),
        [linear(5, 6), neurons("LIF", 5, tau=DT * np.arange(2, 7), v_threshold=np.linspace(0.5, 2, 5))],
    ),
    "large weights": ((6,), [linear(5, 6, low=-30, high=40), neurons("LIF", 5)]),
    "two layers": ((6,), [linear(5, 6), neurons("IF", 5), linear(4, 5), neurons("LIF", 4)]),
    "delays inside": (
        (6,),
        [
            linear(5, 6),
            neurons("IF", 5),
            {"type": "Delay", "delay": DT * np.arange(5)},
            linear(4, 5),
            neurons("IF", 4),
        ],
    ),
    "convolution": ((4, 7, 6), [conv(6, 4, 3, 2, padding=1, groups=2), neurons("IF", 6, 7, 7)]),
    "not square": ((2, 8, 6), [conv(4, 2, 3, 5, stride=[2, 1], padding=[0, 2]), neurons("LIF", 4, 3, 6)]),
    "pool, flatten": ((2, 4, 6), [POOL, neurons("IF", 2, 2, 3), FLATTEN, linear(5, 12), neurons("IF", 5)]),
    "scaled one to one": ((6,), [{"type": "Scale", "scale": np.linspace(-0.3, 0.7, 6)}, neurons("LIF", 6)]),
    "filtered bias": ((6,), [{**BIAS, "bias": 5 * BIAS["bias"] - 0.4}, neurons("CubaLIF", 5)]),
    "filtered bias behind an image": (
        (2, 2, 3),
        [FLATTEN, {"type": "Affine", "weight": weight(5, 12), "bias": weight(5)}, neurons("CubaLIF", 5)],
    ),
}


def as_torch(x, shape):
    image = (shape[0], 1, shape[1]) if len(shape) == 2 else shape
    return torch.from_numpy(x.reshape(*x.shape[:2], *image)).movedim(1, -1).float()


def spikes_of(model, x):
    with torch.no_grad():
        return model(as_torch(x, x.shape[2:])).movedim(-1, 1).numpy()


@pytest.mark.parametrize("name", CASES)
def test_before_training_the_integers_are_those_of_the_import(name, chain_nir, run_graph, spikes):
    shape, nodes = CASES[name]
    path, x = chain_nir(shape, *nodes), spikes(2, T, *shape)
    imported = pumice.from_nir(path, dt=DT, sample_steps=T)
    model = nn.from_nir(path, dt=DT)
    sent = run_graph(imported, x)
    assert 0.01 < sent.mean() < 0.99
    np.testing.assert_array_equal(spikes_of(model, x), sent)
    lowered = pumice.lower(model, as_torch(x, shape))
    np.testing.assert_array_equal(run_graph(lowered, x), sent)
    assert [*integers(lowered)] == [*integers(imported)]


def integers(graph):
    """Of each population with neurons of the file, and of the synapses into it, whatever a layer's power of 2."""
    for p in graph.populations:
        if isinstance(p, Cuba) and "clock" not in p.name:
            into = [s for s in graph.into(p.name) if "clock" not in s.source]
            decays = (
                np.broadcast_to(p.i_decay_q12, p.shape).tolist(),
                np.broadcast_to(p.v_decay_q12, p.shape).tolist(),
            )
            yield (
                decays,
                [(s.weight / p.vth_mant).tolist() for s in into],
                [getattr(s, "weight_exp", 0) for s in into],
            )


def recurrent_file(write_nir, kind, *, bias):
    back = {"type": "Affine", "weight": weight(5, 5, seed=2, low=-0.4, high=0.5), "bias": np.full(5, bias)}
    ends = {"input": {"type": "Input", "shape": [6]}, "output": {"type": "Output", "shape": [5]}}
    nodes = {**ends, "fc": linear(5, 6), "lif": neurons(kind, 5), "back": back}
    return write_nir(nodes, [("input", "fc"), ("fc", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "output")])


@pytest.mark.parametrize("kind", ["IF", "LIF", "CubaLIF"])
def test_recurrence(kind, write_nir, run_graph, spikes):
    path, x = recurrent_file(write_nir, kind, bias=0.0), spikes(2, T, 6)
    sent = run_graph(pumice.from_nir(path, dt=DT, sample_steps=T), x)
    model = nn.from_nir(path, dt=DT)
    np.testing.assert_array_equal(spikes_of(model, x), sent)
    np.testing.assert_array_equal(run_graph(pumice.lower(model, as_torch(x, (6,))), x), sent)
    with torch.no_grad():
        model.lif.recurrent.weight.zero_()
    assert np.any(spikes_of(model, x) != sent)


def test_a_bias_is_whole_in_units_of_the_threshold(chain_nir, run_graph, spikes):
    path, x = chain_nir((6,), BIAS, neurons("LIF", 5)), spikes(2, T, 6)
    imported, model = pumice.from_nir(path, dt=DT, sample_steps=T), nn.from_nir(path, dt=DT)
    (ours,) = pumice.lower(model, as_torch(x, (6,))).populations
    (theirs,) = imported.populations
    assert ours.vth_mant == theirs.vth_mant
    assert np.any(ours.bias_mant)
    fine = theirs.bias_mant * 2.0 ** (theirs.bias_exp - 6)
    assert np.abs(ours.bias_mant * 2.0 ** (ours.bias_exp - 6) - fine).max() <= 0.5
    assert np.mean(spikes_of(model, x) != run_graph(imported, x)) < 0.02


def test_a_bias_of_many_thresholds_lowers_the_scale(chain_nir, run_graph, spikes):
    path, x = chain_nir((6,), {**BIAS, "bias": np.full(5, -40.0)}, neurons("LIF", 5)), spikes(2, T, 6)
    model = nn.from_nir(path, dt=DT)
    graph = pumice.lower(model, as_torch(x, (6,)))
    assert graph.population("n1").bias_mant.min() < -4000
    np.testing.assert_array_equal(run_graph(graph, x), spikes_of(model, x))


@pytest.mark.filterwarnings("ignore:.*the voltage v could reach")
@pytest.mark.parametrize("seed", [5, 12, 76, 90])
def test_even_weights_keep_what_exact_ones_keep_of_24_bits(seed, slow_loop, run_graph, spikes):
    path, n = slow_loop(seed)
    x, model = spikes(2, T, n), nn.from_nir(path, dt=DT)
    graph = pumice.lower(model, as_torch(x, (n,)))
    np.testing.assert_array_equal(run_graph(graph, x), spikes_of(model, x))


def test_a_leaky_read_out(chain_nir, run_graph, spikes):
    read_out = {"type": "LI", "tau": np.full(3, 4 * DT), "r": np.full(3, 4.0), "v_leak": np.zeros(3)}
    path, x = chain_nir((6,), linear(5, 6), neurons("IF", 5), linear(3, 5), read_out), spikes(2, T, 6)
    graph = pumice.from_nir(path, dt=DT)
    voltage = run_graph(graph, x) * float(graph.info["unit"])
    assert np.abs(spikes_of(nn.from_nir(path, dt=DT, calibrate=x), x) - voltage).max() < 0.1 * np.abs(voltage).max()


def test_training_wins_back_what_rounding_lost(chain_nir, run_graph, spikes):
    """Of a network whose one large weight leaves few of the 8 bits to all others."""
    matrix = weight(8, 6, seed=3, low=-0.2, high=0.4)
    matrix[0, 0] = 40.0
    path = chain_nir((6,), {"type": "Linear", "weight": matrix}, neurons("LIF", 8))
    x = spikes(12, T, 6)
    float_spikes = (
        torch.from_numpy(run_graph(pumice.from_nir(path, dt=DT, weights="split"), x)).movedim(1, -1).float()
    )
    model = nn.from_nir(path, dt=DT, surrogate="triangle")
    entering = as_torch(x, (6,))
    before = int((model(entering) != float_spikes).sum())
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 0.01)
    for _ in range(25):
        optimizer.zero_grad()
        (model(entering).sum(-1) - float_spikes.sum(-1)).square().mean().backward()
        optimizer.step()
    after = int((model(entering) != float_spikes).sum())
    assert before > 50
    assert after < 0.85 * before
    graph = pumice.lower(model, entering[:2])
    np.testing.assert_array_equal(run_graph(graph, x), spikes_of(model, x))


STEPS = 2.0 ** (1 + np.arange(32).reshape(2, 4, 4) % 3)
SLOWER = {"tau": DT * STEPS, "r": STEPS}
REFUSED = {
    "a delay of the input": (
        (6,),
        [{"type": "Delay", "delay": np.full(6, DT)}, linear(5, 6), neurons("IF", 5)],
        "delay",
    ),
    "decays within a channel": (
        (2, 4, 4),
        [
            conv(2, 2, 3, 3, padding=1),
            neurons("LIF", 2, 4, 4, **SLOWER),
        ],
        "decays that differ within a channel",
    ),
    "a matrix into an image": (
        (2, 5, 5),
        [POOL, {**POOL, "kernel_size": 1, "stride": 1, "padding": 1}, neurons("IF", 2, 4, 4)],
        "an image that a matrix enters",
    ),
    "a leak behind a current's memory": (
        (6,),
        [linear(5, 6), neurons("CubaLIF", 5, v_leak=0.5)],
        "a v_leak other than its v_reset behind a tau_syn",
    ),
    "one to one into a current's memory": ((6,), [neurons("CubaLIF", 6)], "has a tau_syn, and is entered one to one"),
    "an integrator as read-out": ((6,), [linear(5, 6), {"type": "I", "r": np.ones(5)}], "is a read-out of other"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_block_does_is_refused_and_says_what_remains(name, chain_nir):
    shape, nodes, match = REFUSED[name]
    path = chain_nir(shape, *nodes)
    with pytest.raises(PumiceError, match=match):
        nn.from_nir(path, dt=DT)


def test_names_of_the_file_are_not_those_that_are_made_up(write_nir, run_graph, spikes):
    """`c_flat` is a layer, and not `c` in one dimension; `outputs` is a layer, too."""
    image = {"type": "Input", "shape": np.array([2, 2, 3])}
    nodes = {
        "input": image,
        "c_in": conv(2, 2, 1, 1),
        "c": neurons("IF", 2, 2, 3),
        "f_in": FLATTEN,
        "f_w": linear(12, 12),
        "c_flat": neurons("IF", 12),
        "d_in": FLATTEN,
        "d_w": linear(5, 12, seed=2),
        "d_w2": linear(5, 12, seed=3),
        "outputs": neurons("IF", 5),
        "output": {"type": "Output", "shape": [5]},
    }
    edges = [("input", "c_in"), ("c_in", "c"), ("c", "f_in"), ("f_in", "f_w"), ("f_w", "c_flat"), ("c", "d_in")]
    edges += [("d_in", "d_w"), ("d_w", "outputs"), ("c_flat", "d_w2"), ("d_w2", "outputs"), ("outputs", "output")]
    path, x = write_nir(nodes, edges), spikes(2, 12, 2, 2, 3)
    expected = run_graph(pumice.from_nir(path, dt=DT), x)
    assert expected.any()
    np.testing.assert_array_equal(spikes_of(nn.from_nir(path, dt=DT), x), expected)


def test_arguments_are_checked(chain_nir):
    path = chain_nir((6,), linear(5, 6), neurons("LIF", 5))
    for change, match in (
        ({"dt": 0}, "dt must be"),
        ({"input_range": (1, 2)}, "low <= 0"),
        ({"input_range": 2}, "input_range must be integers"),
        ({"calibrate": np.zeros((3, 7))}, "calibrate must have shape"),
        ({"surrogate": "square"}, "square"),
    ):
        with pytest.raises(PumiceError, match=match):
            nn.from_nir(path, **{"dt": DT, **change})
