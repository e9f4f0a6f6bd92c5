"""The graph form: every kind with every field comes back as it was, and older files are read for ever."""

from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest

import pumice
from pumice import ir
from pumice.errors import FileFormatError, PumiceWarning
from pumice.ir import (
    Accumulator,
    Conv,
    Cuba,
    Delta,
    Dense,
    Direct,
    Graph,
    Input,
    OneToOne,
    Population,
    Reset,
    Resonator,
    Sigma,
    SigmaDelta,
    Sparse,
    Synapse,
    Timing,
    TokenMixing,
)
from pumice.netx import load, save
from pumice.netx.tables import ENDS, POPULATIONS, REQUIRED, SYNAPSES

SHAPE = (2, 3, 4)
VERSION_1 = Path(__file__).parent / "version1"


def everything():
    """Each kind twice: with every field set, arrays where they are possible, and with nothing but what it needs."""
    rng = np.random.default_rng(0)

    def ints(*shape):
        return rng.integers(-9, 10, shape)

    leaky = {"i_decay_q12": ints(4) ** 2, "v_decay_q12": ints(*SHAPE) ** 2, "bias_mant": ints(3, 4), "bias_exp": 3}
    changes = {"vth": 77, "spike_exp": 2, "state_exp": 5, "cum_error": True}
    turn = {"sin_decay": ints(4), "cos_decay": ints(*SHAPE), "state_exp": 3, "decay_bits": 9, "izhikevich": True}
    populations = (
        Cuba("Größe", SHAPE, 5),
        Cuba("cuba", SHAPE, 2**18 - 1, **leaky, reset=Reset(8, 3)),
        Accumulator("plain accumulator", SHAPE),
        Accumulator("accumulator", SHAPE, **leaky, reset=Reset(8, 2)),
        Sigma("sigma", SHAPE),
        Delta("plain delta", SHAPE, 3),
        Delta("delta", SHAPE, **changes),
        SigmaDelta("plain sigma-delta", SHAPE, 3),
        SigmaDelta("sigma-delta", SHAPE, **changes, bias=ints(4) * 10**8, relu=False),
        Resonator("plain resonator", SHAPE, 3, -4, 5),
        Resonator("resonator", SHAPE, 2**31 - 1, **turn),
        Cuba("flat", (5,), 5),
    )
    ends = ("in", "cuba")
    part = {"balance_steps": 2, "target_channels": (1, 3), "graded": True}
    tokens = ints(2, 6, 6)
    synapses = (
        *(Direct("in", p.name, graded=True, part=part) for p in populations if p.shape == SHAPE for part in p.parts),
        Dense("in", "flat", weight=ints(5, 24)),
        Dense("in", "flat", weight=ints(2, 24), weight_exp=7, delay_steps=ints(2, 24) % 60, **part),
        Conv(*ends, weight=ints(4, 1, 1, 4)),
        Conv(
            *ends,
            weight=ints(2, 2, 2, 2),
            padding=(1, 2),
            dilation=(2, 4),
            groups=2,
            delay_steps=ints(4) % 60,
            **part,
        ),
        Sparse(*ends, rows=ints(7) % 24, columns=ints(7) % 24, values=ints(7)),
        Sparse(
            *ends,
            rows=ints(1) % 12,
            columns=ints(1) % 24,
            values=ints(1),
            weight_exp=1,
            delay_steps=ints(1) % 60,
            **part,
        ),
        OneToOne(*ends, weight=3),
        OneToOne(*ends, weight=ints(*SHAPE), weight_exp=4, delay_steps=7),
        TokenMixing(*ends, weight=tokens),
        TokenMixing(*ends, weight=tokens[:1], weight_exp=2, delay_steps=ints(4) % 60),
    )
    return populations, synapses


def every_graph():
    """`everything`, one graph for each population and synapse: latencies need not fit together."""
    populations, synapses = everything()
    entry = Input("in", SHAPE)
    for population in populations:
        ends = tuple(s for s in synapses if s.target == population.name and isinstance(s, Direct | Dense))
        yield Graph(entry, (population,), ends, (population.name,))
    for synapse in synapses:
        target = next(p for p in populations if p.name == synapse.target)
        yield Graph(entry, (target,), (synapse,), (target.name,), timing=Timing(3, 5, 2))


def assert_equal(a, b):
    assert type(a) is type(b)
    for field in fields(a):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right, strict=True)
        else:
            assert left == right, field.name


def test_every_field_comes_back(tmp_path):
    path, again = tmp_path / "a.net", tmp_path / "b.net"
    count = 0
    for graph in every_graph():
        save(graph, path)
        back = load(path)
        with h5py.File(path) as file:
            if file["pumice/form"][()] == b"chain":
                continue
        for a, b in zip((*graph.populations, *graph.synapses), (*back.populations, *back.synapses), strict=True):
            assert_equal(a, b)
        assert (graph.outputs, graph.timing) == (back.outputs, back.timing)
        save(back, again)
        assert path.read_bytes() == again.read_bytes()
        count += 1
    assert count > 30


@pytest.mark.parametrize(
    ("base", "kinds", "known"),
    [
        (Population, POPULATIONS, {"name", "shape", "reset"}),
        (Synapse, SYNAPSES, {field.attribute for field in ENDS}),
    ],
)
def test_the_table_knows_every_kind_and_field(base, kinds, known):
    classes = [c for c in vars(ir).values() if isinstance(c, type) and issubclass(c, base) and c is not base]
    assert {kind.made for kind in kinds.values()} == set(classes)
    for kind in kinds.values():
        assert known | {f.attribute for f in kind.fields} == {f.name for f in fields(kind.made)}
        assert len({f.name for f in kind.fields}) == len(kind.fields)


def test_the_defaults_of_the_format_are_pinned():
    """They are part of the format: a new default in the code must not change what a file means."""
    stated = {f"{kind}/{f.name}": f.default for kind, k in {**POPULATIONS, **SYNAPSES}.items() for f in k.fields}
    assert {place: value for place, value in stated.items() if value is not REQUIRED} == {
        **{f"{kind}/{name}": value for kind in ("CUBA", "accumulator") for name, value in LEAKY.items()},
        **{f"{kind}/{name}": value for kind in ("delta", "sigma_delta") for name, value in CHANGES.items()},
        "sigma_delta/bias": 0,
        "sigma_delta/relu": True,
        "resonator/stateExp": 6,
        "resonator/decayBits": 12,
        "resonator/izhikevich": False,
        **{f"{kind}/weightExp": 0 for kind in SYNAPSES if kind not in ("conv", "direct")},
        **{f"{kind}/delay": 0 for kind in SYNAPSES if kind != "direct"},
        **{f"{kind}/{name}": value for kind in ("conv", "conv_transpose") for name, value in GEOMETRY.items()},
        "conv_transpose/outputPadding": (0, 0),
    }
    assert {f.name: f.default for f in ENDS if f.default is not REQUIRED} == {
        "graded": False,
        "balance": 0,
        "targetChannels": None,
        "part": "real",
    }


LEAKY = {"iDecay": 4096, "vDecay": 0, "bias": 0, "biasExp": 6}
GEOMETRY = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
CHANGES = {"spikeExp": 6, "stateExp": 6, "cumError": False}


@pytest.mark.parametrize("name", ["graph", "chain"])
def test_files_of_version_1(tmp_path, name):
    graph = load(VERSION_1 / f"{name}.net")
    with h5py.File(VERSION_1 / f"{name}.net") as file:
        assert file["pumice"].attrs["version"] == 1
    assert graph.info == {"made": "by pumice with format version 1"}
    with pytest.warns(PumiceWarning, match="of an older pumice"):
        pumice.verify(graph)
    assert sum(graph.certificate.spike_counts.values()) > 5
    save(graph, tmp_path / "new.net")
    again = load(tmp_path / "new.net")
    assert again.certificate.state_digests == graph.certificate.state_digests
    with pytest.warns(PumiceWarning, match="of an older pumice"):
        pumice.verify(again)
    with h5py.File(tmp_path / "new.net") as file:
        assert file["pumice"].attrs["version"] == 2


def resonators():
    weight = np.arange(6).reshape(2, 3)
    ends = tuple(Dense("in", "a", weight=weight, part=part) for part in ("real", "imag"))
    return Graph(Input("in", (3,)), (Resonator("a", (2,), 3, 4, 5),), ends, ("a",))


@pytest.mark.parametrize(
    ("place", "value", "text"),
    [
        ("population/0/vTh", -1, "vTh: must lie in 0.."),
        ("population/0/sinDecay", 2**15, "sinDecay: must lie in -32768..32767"),
        ("population/0/sinDecay", [1, 2, 3], "does not fit the population's shape"),
        ("population/0/cosDecay", np.nan, "cosDecay: holds NaN"),
        ("population/0/stateExp", 8, "stateExp: must lie in 0..7"),
        ("population/0/decayBits", [1, 2], "decayBits: must be one number"),
        ("population/0/izhikevich", 2, "izhikevich: must lie in 0..1"),
        ("population/0/vThMant", 5, "vThMant: unknown field"),
        ("population/0/reset", [5, 0], "a Resonator cannot be reset"),
        ("synapse/0/part", "both", "part 'both': a Resonator has real, imag"),
        ("synapse/0/balance", 63, "balance_steps must lie in 0..62"),
        ("synapse/0/targetChannels", [1, 3], "target_channels must satisfy 0 <= first < stop <= 2, got 1, 3"),
        ("synapse/0/targetChannels", [1, 1], "target_channels must satisfy"),
        ("synapse/0/targetChannels", [0, 1, 2], "targetChannels: must be one or two numbers"),
        ("synapse/0/target", "b", "there is no target population 'b'"),
        ("synapse/0/weight", 1e300, "weight: must lie in -2147483647..2147483647"),
        ("synapse/0/weight", np.uint64(2**63), "weight: is out of range"),
        ("synapse/0/weight", np.full((2, 3), 2**40), "weight: must lie in"),
        ("timing", [3, 5, -1], "timing: must lie in 0.."),
    ],
)
def test_spoiled_fields(tmp_path, place, value, text):
    path = tmp_path / "a.net"
    save(resonators(), path)
    with h5py.File(path, "r+") as file:
        if place in file["pumice"]:
            del file["pumice"][place]
        file["pumice"][place] = value
    with pytest.raises(FileFormatError) as caught:
        load(path)
    assert text in str(caught.value)
    assert str(path) in str(caught.value)
