"""A certificate is about the whole graph, and survives the way through a file."""

import warnings
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import pumice
from pumice.errors import CheckFailedError, FileFormatError, InputError, PumiceWarning
from pumice.ir import Cuba, Dense, Direct, Graph, Input, Timing, graph_digests
from pumice.ir.builder import chain
from pumice.netx import load, save
from pumice.netx.chain_writer import chain_links
from pumice.testing.battery import GROUPS, packed

EXPORTS = sorted((Path(__file__).parents[3] / "netx_exports").glob("*/network.net"))


def there_and_back(graph, path):
    save(graph, path)
    return load(path)


@pytest.mark.parametrize("group", GROUPS)
def test_what_the_battery_holds_is_certified_saved_loaded_and_verified(tmp_path, group):
    make_cases, make_stream = GROUPS[group]
    cases, x = make_cases(), make_stream()[:12]
    for graph in (*cases.values(), packed(cases)):
        back = there_and_back(pumice.certify(graph, x), tmp_path / "a.net")
        assert pumice.verify(back, ("fast",))["fast"] > 0


def test_the_smallest_value_there_is_can_be_certified(tmp_path):
    """A delta of spikes shifted by 14 bits, 2^17 times: the sum is -2^31."""
    delta = pumice.ir.Delta("a", (1,), vth=1, spike_exp=7, state_exp=0)
    graph = Graph(Input("in", (1,)), (delta, pumice.ir.Sigma("b", (1,))), (
        Direct("in", "a", graded=True), Dense("a", "b", graded=True, weight=np.array([[-256]])),
    ), ("b",))  # fmt: skip
    graph = pumice.certify(graph, np.array([[2**16], [2**16], [0]]))
    assert graph.certificate.spikes["b"].min() == -(2**31)
    assert pumice.verify(there_and_back(graph, tmp_path / "a.net")) == pumice.verify(graph)


def test_a_flat_stream_can_be_certified(tmp_path):
    """An image may be given flat, channel slowest; the certificate has its full shape."""
    images = np.arange(5 * 12).reshape(5, 3, 2, 2)  # (T, x, y, channel)
    flat = images.transpose(0, 3, 2, 1).reshape(5, 12)
    graph = chain((3, 2, 2), [3], seed=0)
    back = there_and_back(pumice.certify(graph, flat), tmp_path / "a.net")
    np.testing.assert_array_equal(back.certificate.x, images)
    assert pumice.verify(back)


@pytest.fixture
def quiet():
    """A network whose certificate's run sees none of its second half."""
    graph = chain((4,), [2, 2], seed=1).replace(timing=Timing(5, 8, 1), input=Input("input", (4,), (0, 1)))
    x = np.zeros((10, 4), int)
    x[:, :2] = 1
    return pumice.certify(graph.replace(outputs=("dense1", "dense0")), x)


@pytest.mark.parametrize(
    ("field", "change", "part"),
    [
        ("population/1/vThMant", lambda n: n + 1, "population dense1"),
        ("population/1/vDecay", lambda n: n + 1, "population dense1"),
        ("population/1/shape", None, "population dense1"),
        ("synapse/0/weight", lambda w: w * [1, 1, 1, -1], "the synapses into dense0"),
        ("timing", lambda t: np.add(t, [0, 0, 1]), "the timing"),
        ("input/value_range", lambda r: r * 2, "the input"),
        ("outputs", lambda n: n[::-1], "the outputs"),
    ],
)
def test_a_changed_number_is_noticed_and_named(tmp_path, quiet, field, change, part):
    path = tmp_path / "a.net"
    save(quiet, path)
    with h5py.File(path, "r+") as file:
        old = np.array(file["pumice"][field])
        del file["pumice"][field]
        if change is not None:
            file["pumice"][field] = change(old)
        else:
            file["pumice"][field] = old.astype(np.uint8).reshape(1, 1)  # stored otherwise: no change
    if change is None:
        assert pumice.verify(load(path))
        return
    with pytest.raises(CheckFailedError, match=f"changed after it was .* first: {part} .*certify it again"):
        pumice.verify(load(path))


def test_a_changed_layer_of_the_chain_form_is_noticed(tmp_path):
    path = tmp_path / "a.net"
    save(pumice.certify(chain((4,), [3], seed=0), np.zeros((5, 4), int)), path)
    with h5py.File(path, "r+") as file:
        assert file["pumice/form"][()] == b"chain"
        file["layer/1/weight"][1, 2] += 2
    with pytest.raises(CheckFailedError, match="the synapses into dense0"):
        pumice.verify(load(path))


def test_a_graph_that_was_changed_needs_a_new_certificate(quiet):
    slower = quiet.replace(timing=Timing(5, 9, 1))
    with pytest.raises(CheckFailedError, match="first: the timing"):
        pumice.verify(slower)
    assert pumice.verify(pumice.certify(slower, quiet.certificate.x))


def test_info_may_be_changed(tmp_path, quiet):
    assert pumice.verify(there_and_back(quiet.replace(info={"accuracy": "0.98"}), tmp_path / "a.net"))


@pytest.mark.parametrize("changes", [{"outputs": ("dense0",)}, {"populations": ()}])
def test_a_certificate_of_another_graph_is_not_saved(tmp_path, changes):
    graph = pumice.certify(chain((4,), [3, 2], seed=0), np.ones((5, 4), int))
    if "populations" in changes:
        changes = {"populations": tuple(replace(p, name=p.name + "x") for p in graph.populations)} | {
            "synapses": tuple(replace(s, target=s.target + "x", source=s.source + "x" * (s.source != "input"))
                              for s in graph.synapses), "outputs": ("dense1x",)}  # fmt: skip
    with pytest.raises(InputError, match="of a graph with other populations or outputs; certify this one"):
        save(graph.replace(**changes), tmp_path / "a.net")
    save(graph.replace(**changes, certificate=None), tmp_path / "a.net")


@pytest.mark.parametrize("other", [chain((5,), [3, 2], seed=0), chain((4,), [3, 6], seed=0)])
def test_a_certificate_of_other_sizes_is_not_saved(tmp_path, other):
    """Its file could not be read back."""
    certificate = pumice.certify(chain((4,), [3, 2], seed=0), np.ones((5, 4), int)).certificate
    with pytest.raises(InputError, match="of a graph with other populations or outputs; certify this one"):
        save(other.replace(certificate=certificate), tmp_path / "a.net")
    assert not list(tmp_path.iterdir())


def test_a_spoiled_digest(tmp_path, quiet):
    path = tmp_path / "a.net"
    save(quiet, path)
    with h5py.File(path, "r+") as file:
        del file["pumice/certificate/graph_digests"]
        file["pumice/certificate/graph_digests"] = np.zeros((3, 32), np.uint8)
    with pytest.raises(FileFormatError, match=r"graph_digests: must be 8 digests of 32 bytes, got shape \(3, 32\)"):
        load(path)


@pytest.mark.parametrize(
    "path", [p for p in EXPORTS if p.parent.name in ("digits", "fsdd-delays")], ids=lambda p: p.parent.name
)
def test_a_certificate_of_an_older_version_says_that_it_covers_its_run_only(tmp_path, path):
    graph = load(path)
    if graph.certificate.graph_digests is None:
        with pytest.warns(
            PumiceWarning, match=r"about its run only.*pumice\.certify\(graph, graph\.certificate\.x\)"
        ):
            pumice.verify(graph, "fast")
    renewed = pumice.certify(graph, graph.certificate.x)
    assert renewed.certificate.state_digests == graph.certificate.state_digests
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pumice.verify(there_and_back(renewed, tmp_path / "a.net"), "fast")


# Shapes with a single neuron, channel, or place, where one number might stand for several things.


def degenerate(rng):
    """A random chain of dense layers and convolutions, most of whose sizes are 1."""

    def size():
        return int(rng.choice([1, 1, 1, 2, 3]))

    def array(low, high, *shapes):
        shape = shapes[rng.integers(len(shapes))]
        drawn = rng.integers(low, high, shape)
        return int(drawn) if shape == () and rng.integers(2) else drawn

    shape = (size(),) if rng.integers(3) == 0 else (size(), size(), size())
    source = Input("in", shape, (-8, 8))
    name, populations, synapses = source.name, [], []
    for index in range(rng.integers(1, 4)):
        graded, target = bool(index == 0 and rng.integers(2)), f"p{index}"
        if len(shape) == 3 and rng.integers(2):
            kernel, n_out = [int(rng.integers(1, n + 1)) for n in shape[:2]], size()
            groups = int(rng.choice([g for g in (1, 2, 3) if shape[2] % g == 0 and n_out % g == 0]))
            weight = 2 * rng.integers(-20, 60, (n_out, *kernel, shape[2] // groups))
            delays = array(0, 4, (), (shape[2],)) if rng.integers(2) else 0
            synapses.append(pumice.ir.Conv(name, target, graded, weight=weight, groups=groups, delay_steps=delays))
            shape = (shape[0] - kernel[0] + 1, shape[1] - kernel[1] + 1, n_out)
        else:
            n_in, n_out = int(np.prod(shape)), size()
            weight = 2 * rng.integers(-20, 60, (n_out, n_in))
            delays = array(0, 4, (), (n_in,), (n_out, n_in)) if rng.integers(2) else 0
            synapses.append(Dense(name, target, graded, weight=weight, delay_steps=delays))
            shape = (n_out,)
            if rng.integers(3) == 0:
                synapses.append(Dense(target, target, weight=2 * rng.integers(-9, 9, (n_out, n_out))))
        ones = (1,) * len(shape)
        parameters = {
            "i_decay_q12": array(0, 4097, (), shape[-1:], shape, ones),
            "v_decay_q12": array(0, 4097, (), shape[-1:], shape, ones),
            "bias_mant": array(-20, 60, (), shape[-1:], shape, ones) if rng.integers(2) else 0,
            "bias_exp": int(rng.choice([6, 6, 6, 3])),
        }
        populations.append(Cuba(target, shape, vth_mant=int(rng.integers(20, 90)), **parameters))
        name = target
    return Graph(source, tuple(populations), tuple(synapses), (name,))


@pytest.mark.parametrize("first", [0, pytest.param(10_000, marks=pytest.mark.slow)])
def test_degenerate_shapes_come_back_as_they_were(tmp_path, first):
    forms = {"chain": 0, "graph": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PumiceWarning)  # where stock netx would run a chain otherwise
        for seed in range(first, first + (50 if first == 0 else 5000)):
            graph = degenerate(np.random.default_rng(seed))
            forms["graph" if isinstance(chain_links(graph), str) else "chain"] += 1
            back = there_and_back(graph, tmp_path / "a.net")
            assert graph_digests(back) == graph_digests(graph), f"seed {seed}"
            x = np.random.default_rng(seed + 1).integers(-8, 9, (20, *graph.input.shape))
            expected = pumice.run(graph, x, record=True).records
            for name, record in pumice.run(back, x, backend="fast", record=True).records.items():
                assert record.digest() == expected[name].digest(), f"seed {seed}, {name}"
    assert min(forms.values()) >= 20, forms
