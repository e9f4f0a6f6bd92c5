"""What `save` writes, run by stock netx on Lava."""

from dataclasses import replace

import numpy as np
import pytest

import pumice
from pumice.fixedpoint import conv_output_shape
from pumice.ir import Conv, Cuba, Dense, Direct, Graph, Input, with_reset_schedule
from pumice.netx import load, save
from pumice.netx.tables import POPULATIONS, SYNAPSES
from pumice.testing.strategies import example, graphs

pytestmark = pytest.mark.lava


def population(rng, name, shape, *, bias):
    per_neuron = bool(rng.random() < 0.3)
    decay = {key: rng.integers(0, 4097, shape[-1:] if per_neuron else ()) for key in ("i_decay_q12", "v_decay_q12")}
    return Cuba(
        name,
        shape,
        vth_mant=int(rng.integers(1, 60)),
        bias_mant=rng.integers(-10, 30, shape[-1:]) if bias else 0,
        **{key: value if value.ndim else int(value) for key, value in decay.items()},
    )


def weights(rng, shape, low=-40):
    return 2 * rng.integers(low, 61, size=shape)


def random_chain(seed):
    """Convolutions, a flatten, dense layers, one of them recurrent or with delays; biases in half of them."""
    rng = np.random.default_rng(seed)
    shape, source = (int(rng.integers(5, 8)), int(rng.integers(5, 8)), 2), "in"
    entry = Input(source, shape)
    populations, synapses = [], []
    if rng.random() < 0.4:
        populations.append(population(rng, "entry", shape, bias=False))
        synapses.append(Direct(source, "entry", graded=True))
        source = "entry"
    for index in range(int(rng.integers(0, 3))):
        groups = int(rng.choice([1, 2]))
        kernel = weights(rng, (4, *rng.integers(1, 4, 2), shape[2] // groups))
        geometry = {
            "stride": tuple(map(int, rng.integers(1, 3, 2))),
            "padding": tuple(map(int, rng.integers(0, 2, 2))),
            "dilation": (1, int(rng.integers(1, 3))) if index == 0 else (1, 1),
        }
        target = conv_output_shape(shape, kernel.shape, **geometry)
        if min(target) < 1:
            continue
        populations.append(population(rng, f"conv {index}", target, bias=rng.random() < 0.5))
        synapses.append(Conv(source, populations[-1].name, weight=kernel, groups=groups, **geometry))
        source, shape = populations[-1].name, target
    for index in range(int(rng.integers(1, 4))):
        n_in, n_out = int(np.prod(shape)), int(rng.integers(3, 9))
        target = population(rng, f"dense {index}", (n_out,), bias=rng.random() < 0.5)
        low = int(rng.choice([-40, 0, -60]))
        kind = rng.choice(["plain", "recurrent", "per source", "per weight", "one delay", "per neuron"])
        delay = {
            "per source": rng.integers(0, 9, n_in),
            "per weight": rng.integers(0, 63, (n_out, n_in)),
            "one delay": 5,
            "per neuron": np.repeat(rng.integers(0, 9, (n_out, 1)), n_in, axis=1),
        }.get(str(kind), 0)
        synapses.append(Dense(source, target.name, weight=weights(rng, (n_out, n_in), low), delay_steps=delay))
        if kind == "recurrent":
            synapses.append(Dense(target.name, target.name, weight=weights(rng, (n_out, n_out))))
        populations.append(target)
        source, shape = target.name, target.shape
    return Graph(entry, tuple(populations), tuple(synapses), outputs=(source,))


def stock_stream(graph, x):
    """Stock's `inp` has the first synapse's shape: flat in front of a dense layer."""
    first = next(graph.out_of(graph.input.name))
    return x.transpose(0, 3, 2, 1).reshape(len(x), -1) if isinstance(first, Dense) else x


def refused(tmp_path):
    """Graphs that are no chains, random ones until every kind has occurred, and a chain that stock would misread."""
    rng = np.random.default_rng(0)
    a, b = (population(rng, name, (3,), bias=False) for name in "ab")
    first = Dense("in", "a", weight=weights(rng, (3, 4)), weight_exp=2)
    second = Dense("a", "b", weight=weights(rng, (3, 3)))
    found = [Graph(Input("in", (4,)), (a, b), (first, second), outputs=("b",))]
    missing = {kind.made for kind in (*POPULATIONS.values(), *SYNAPSES.values())}
    for seed in range(60):
        graph = example(graphs(), seed)
        kinds = {type(part) for part in (*graph.populations, *graph.synapses)}
        if missing & kinds:
            found.append(graph)
            missing -= kinds
    assert not missing
    for index, graph in enumerate(found):
        save(graph, tmp_path / f"graph{index}.net")
        yield tmp_path / f"graph{index}.net", np.ones((5, 4), int), {}


def test_stock_runs_what_save_wrote_or_refuses_it(run_stock, tmp_path):
    cases, expected, fired = [], [], 0
    for seed in range(10):
        rng = np.random.default_rng(1000 + seed)
        graph, arguments = random_chain(seed), {}
        x = (rng.random((25, *graph.input.shape)) < 0.4).astype(int)
        direct = any(isinstance(s, Direct) for s in graph.synapses)
        if direct:
            x = rng.integers(0, 40, x.shape)
        elif seed % 3 == 0:  # graded input
            x = rng.integers(0, 5, x.shape)
            arguments["input_message_bits"] = 8
            synapses = (replace(graph.synapses[0], graded=True), *graph.synapses[1:])
            graph = graph.replace(synapses=synapses)
        if seed % 2:
            arguments |= {"reset_interval": 8, "reset_offset": seed % 5}
            graph = with_reset_schedule(graph, 8, seed % 5 + direct)
        path = tmp_path / f"{seed}.net"
        save(graph, path, require_stock=True)
        back = pumice.run(load(path), x, backend="reference").spikes
        np.testing.assert_array_equal(back, pumice.run(graph, x, backend="reference").spikes)
        cases.append((path, stock_stream(graph, x), arguments))
        expected.append(back)
        fired += bool(back.any() and not back.all())
    assert fired > 6
    others = list(refused(tmp_path))
    outputs = run_stock([*cases, *others])
    assert outputs[len(cases) :] == ["NotImplementedError: concat is not implemented."] * len(others)
    for (path, _, _), got, want in zip(cases, outputs[: len(cases)], expected, strict=True):
        assert not isinstance(got, str), f"{path.name}: {got}"
        np.testing.assert_array_equal(got, want, err_msg=path.name)
