import os
from dataclasses import fields, replace

import h5py
import numpy as np
import pytest

import pumice
from pumice.errors import FileFormatError, GraphError, InputError
from pumice.ir import Conv, Cuba, Dense, Direct, Graph, Input, Reset, Timing, with_reset_schedule
from pumice.ir.builder import chain
from pumice.netx import load, save
from pumice.testing.strategies import cases, example

SMALL = chain((2, 2, 1), [3, 2], seed=1)


def assert_same(a, b, shape):
    """Field by field; arrays may come back in a simpler form that broadcasts to the same."""
    assert type(a) is type(b)
    for field in fields(a):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if isinstance(left, np.ndarray | np.integer) or isinstance(right, np.ndarray):
            common = shape if np.shape(left) != np.shape(right) else np.shape(left)
            np.testing.assert_array_equal(np.broadcast_to(left, common), np.broadcast_to(right, common))
        else:
            assert left == right, field.name


def assert_same_graph(a, b):
    assert_same(a.input, b.input, a.input.shape)
    for p, q in zip(a.populations, b.populations, strict=True):
        # Without bias its exponent means nothing.
        unbiased = isinstance(p, Cuba) and not np.any(p.bias_mant)
        assert_same(replace(p, bias_exp=q.bias_exp) if unbiased else p, q, p.shape)
    for s, r in zip(a.synapses, b.synapses, strict=True):
        assert_same(s, r, np.shape(getattr(s, "weight", np.zeros(1))))
    assert (a.outputs, a.timing, a.info) == (b.outputs, b.timing, b.info)


def form_of(path):
    with h5py.File(path) as file:
        return file["pumice/form"][()].decode()


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_come_back(tmp_path, seed):
    graph, x = example(cases(n_steps=8), seed)
    save(graph, tmp_path / "a.net")
    back = load(tmp_path / "a.net")
    assert_same_graph(graph, back)
    np.testing.assert_array_equal(pumice.run(graph, x).spikes, pumice.run(back, x).spikes)
    save(back, tmp_path / "b.net")
    assert (tmp_path / "a.net").read_bytes() == (tmp_path / "b.net").read_bytes()


def test_everything_about_a_chain_comes_back(tmp_path):
    graph = with_reset_schedule(SMALL, 16, 1).replace(
        input=Input("Bild", (2, 2, 1), value_range=(0, 255)),
        synapses=(replace(SMALL.synapses[0], source="Bild", graded=True), SMALL.synapses[1]),
        timing=Timing(10, 16),
        info={"daten": "größer/kleiner", "accuracy": "0.97"},
    )
    graph = pumice.certify(graph, np.arange(20).reshape(5, 2, 2, 1))
    save(graph, tmp_path / "a.net")
    back = load(tmp_path / "a.net")
    assert form_of(tmp_path / "a.net") == "chain"
    assert_same_graph(graph, back)
    for name in ("x", "spikes"):
        np.testing.assert_equal(getattr(back.certificate, name), getattr(graph.certificate, name))
    assert back.certificate.spike_counts == graph.certificate.spike_counts
    assert back.certificate.state_digests == graph.certificate.state_digests
    assert pumice.verify(back) == pumice.verify(graph)
    save(back, tmp_path / "b.net")
    assert (tmp_path / "a.net").read_bytes() == (tmp_path / "b.net").read_bytes()


def test_the_same_graph_gives_the_same_bytes(tmp_path):
    for name in "ab":
        save(SMALL, tmp_path / f"{name}.net")
    assert (tmp_path / "a.net").read_bytes() == (tmp_path / "b.net").read_bytes()


def test_layers_are_what_lava_dl_writes(tmp_path):
    """Names, shapes and types of lava-dl's own export (mnist.net and tiny.net of its wheel)."""
    rng = np.random.default_rng(0)
    graph = Graph(
        Input("in", (5, 4, 2)),
        (
            Cuba("c", (4, 3, 6), vth_mant=7, bias_mant=np.arange(6)),
            Cuba("d", (3,), vth_mant=8, bias_mant=5),
        ),
        (
            Conv("in", "c", weight=2 * rng.integers(-9, 9, (6, 2, 2, 2))),
            Dense("c", "d", weight=2 * rng.integers(-9, 9, (3, 72))),
        ),
        outputs=("d",),
    )
    save(graph, tmp_path / "a.net", require_stock=True)
    found = {}
    with h5py.File(tmp_path / "a.net") as file:
        file["layer"].visititems(
            lambda n, o: found.update({n: (o.shape, str(o.dtype))}) if hasattr(o, "dtype") else None
        )
        kinds = [file[f"layer/{i}/type"][0] for i in range(4)]
        np.testing.assert_array_equal(file["layer/1/kernelSize"][()], [2, 2])
        np.testing.assert_array_equal(file["layer/1/shape"][()], [6, 3, 4])
        np.testing.assert_array_equal(file["layer/3/bias"][()], [5, 5, 5])
        assert file["layer/1/neuron/type"][()] == b"CUBA"
    neuron = {f"neuron/{name}": ((), "int64") for name in ("iDecay", "vDecay", "vThMant", "refDelay")}
    neuron |= {"neuron/type": ((), "object"), "neuron/gradedSpike": ((), "bool")}
    one, pair, kind = ((), "int64"), ((2,), "int64"), ((1,), "|S10")
    expected = {
        0: {"type": kind, "shape": ((3,), "int64")},
        1: {
            "type": kind,
            "shape": ((3,), "int64"),
            "weight": ((6, 2, 2, 2), "float32"),
            "bias": ((6,), "float32"),
            **dict.fromkeys(("inChannels", "outChannels", "groups"), one),
            **dict.fromkeys(("kernelSize", "stride", "padding", "dilation"), pair),
            **neuron,
        },
        2: {"type": kind, "shape": ((3,), "int64")},
        3: {
            "type": kind,
            "shape": ((1,), "int64"),
            "weight": ((3, 72), "float32"),
            "bias": ((3,), "float32"),
            **dict.fromkeys(("inFeatures", "outFeatures"), one),
            **neuron,
        },
    }
    assert kinds == [b"input", b"conv", b"flatten", b"dense"]
    assert found == {f"{i}/{name}": value for i, layer in expected.items() for name, value in layer.items()}


def with_synapse(index, **changes):
    synapses = list(SMALL.synapses)
    synapses[index] = replace(synapses[index], **changes)
    return SMALL.replace(synapses=tuple(synapses))


def with_population(index, **changes):
    populations = list(SMALL.populations)
    populations[index] = replace(populations[index], **changes)
    return SMALL.replace(populations=tuple(populations))


def recurrent(**changes):
    loop = replace(Dense("dense1", "dense1", weight=np.array([[2, -4], [6, 8]])), **changes)
    return SMALL.replace(synapses=(*SMALL.synapses, loop))


def fed_directly(**changes):
    direct = replace(Direct("input", "a", graded=True), **changes)
    entry = Cuba("a", (2, 2, 1), vth_mant=3)
    first = replace(SMALL.synapses[0], source="a")
    return SMALL.replace(populations=(entry, *SMALL.populations), synapses=(direct, first, SMALL.synapses[1]))


def convolution(**changes):
    weight = np.full((2, 2, 2, 1), 4)
    conv = replace(Conv("input", "a", weight=weight), **changes)
    return Graph(SMALL.input, (Cuba("a", (1, 1, 2), vth_mant=3),), (conv,), outputs=("a",))


@pytest.mark.parametrize(
    "graph",
    [
        SMALL,
        recurrent(),
        fed_directly(),
        convolution(),
        with_synapse(0, graded=True),
        with_synapse(0, delay_steps=np.arange(4)),
        with_synapse(1, delay_steps=np.arange(6).reshape(2, 3)),
        with_synapse(1, delay_steps=62),
        with_population(0, bias_mant=9),
        with_population(0, bias_exp=3),
        with_population(0, vth_mant=2**18 - 1),
        with_population(0, i_decay_q12=np.arange(3)),
        with_reset_schedule(SMALL, 5, 3),
        with_reset_schedule(fed_directly(), 5, 3),
    ],
)
def test_what_stock_runs_is_written_as_a_chain(tmp_path, graph):
    save(graph, tmp_path / "a.net", require_stock=True)
    assert form_of(tmp_path / "a.net") == "chain"
    back = load(tmp_path / "a.net")
    x = np.random.default_rng(0).integers(0, 2, (30, 2, 2, 1))
    np.testing.assert_array_equal(pumice.run(graph, x).spikes, pumice.run(back, x).spikes)


@pytest.mark.parametrize(
    ("graph", "why"),
    [
        (SMALL.replace(outputs=("dense0",)), "the output is not the last population alone"),
        (with_synapse(0, weight_exp=1), "dense0: it has a weight exponent"),
        (with_synapse(1, graded=True), "dense1: only the input can be graded"),
        (with_synapse(0, weight=np.zeros((3, 4), int)), "all its weights are zero"),
        (with_synapse(0, weight=np.full((3, 4), -256)), "stock netx would change its weights"),
        (with_population(0, bias_mant=3, bias_exp=5), "its bias exponent is not 6"),
        (with_population(0, reset=Reset(5)), "the resets are not staggered"),
        (recurrent(delay_steps=1), "it has delays and is recurrent"),
        (recurrent(weight_exp=1), "weight exponent or graded recurrence"),
        (fed_directly(graded=False), "neurons fed directly must take the input's values"),
        (convolution(delay_steps=1), "a convolution has delays"),
        (convolution(weight=np.full((2, 2, 2, 1), 300)), "its weights do not fit 8 bits"),
    ],
)
def test_what_stock_would_misread_is_written_as_a_graph(tmp_path, graph, why):
    path = tmp_path / "a.net"
    with pytest.raises(FileFormatError, match=why):
        save(graph, path, require_stock=True)
    assert not path.exists()
    save(graph, path)
    assert form_of(path) == "graph"
    assert_same_graph(graph, load(path))
    with h5py.File(path) as file:
        assert file["layer/0/type"][0] == b"concat"


def test_what_is_valid_at_the_limits_comes_back(tmp_path):
    widest = SMALL.replace(input=replace(SMALL.input, value_range=(-(2**31), 2**31 - 1)))
    rarest = tuple(replace(p, reset=Reset(2**31 - 1, 2**31 - 1)) for p in widest.populations)
    graph = widest.replace(populations=rarest)
    save(graph, tmp_path / "a.net")
    back = load(tmp_path / "a.net")
    assert (back.input, back.populations[0].reset) == (graph.input, rarest[0].reset)


@pytest.mark.filterwarnings("error")
def test_what_is_no_number_for_the_data_loader_is_kept_as_text_alone(tmp_path):
    graph = Graph(Input("in", (3,)), (Cuba("a", (3,), 5),), (Direct("in", "a", graded=True),), ("a",))
    graph = graph.replace(info={"netx_input_weight": "1e39", "netx_input_bias": "nan"})
    save(graph, tmp_path / "a.net")
    assert load(tmp_path / "a.net").info == graph.info
    with h5py.File(tmp_path / "a.net") as file:
        assert not {"weight", "bias"} & {*file["layer/0"]}


def test_an_invalid_graph_is_not_written(tmp_path):
    with pytest.raises(GraphError, match="no output is named"):
        save(SMALL.replace(outputs=()), tmp_path / "a.net")
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_behind_when_writing_fails(tmp_path):
    path = tmp_path / "a.net"
    save(SMALL, path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="cannot be stored"):
        save(SMALL.replace(info={"long": "x" * 2**21}), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.net"]
    with pytest.raises(InputError, match="cannot be written"):
        save(SMALL, tmp_path / "none" / "a.net")


@pytest.mark.parametrize("name", ["a.txt", "a", "a.net.npz"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"must end in \.net"):
        save(SMALL, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.h5", "a.hdf5"])
def test_the_suffixes_of_hdf5_are_allowed(tmp_path, name):
    save(SMALL, tmp_path / name)
    assert_same_graph(SMALL, load(tmp_path / name))


def test_nothing_is_written_but_the_file(tmp_path, monkeypatch):
    """The HDF5 library writes to no disk: of a full one it knows no reason, and speaks on stderr."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    save(chain((4,), [3, 2], seed=0), tmp_path / "a.net")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.net"]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    save(chain((4,), [3, 2], seed=0), tmp_path / "a.net")
    before = (tmp_path / "a.net").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(tmp_path), "write_bytes", full)
    with pytest.raises(InputError, match=r"a\.net: cannot be written \(No space left on device\)"):
        save(chain((4,), [3, 2], seed=1), tmp_path / "a.net")
    assert (tmp_path / "a.net").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.net"]
