"""A kind of population and one of synapses that live in this file alone, and what follows from what they state."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

import pumice
from pumice import ir
from pumice.backends import get_backend
from pumice.backends.verify import certify, first_difference, verify
from pumice.cli.summary import summarize
from pumice.errors import FileFormatError, GraphError, InputError, PumiceError
from pumice.fixedpoint.formats import DECAY, DECAY_ONE, STATE_LIMIT
from pumice.hardware import violations
from pumice.ir import Cuba, Dense, Graph, Input, Population, Synapse, Timing, graph_digests, verify_graph
from pumice.ir.limits import Limit
from pumice.ir.own_kinds import population_kinds, synapse_kinds
from pumice.ir.synapses.base import non_zero
from pumice.passes.cost import graph_cost
from pumice.passes.order import run_passes


@dataclass(frozen=True, eq=False)
class SoftReset(Population):
    """Leaky integrate-and-fire neurons that subtract the threshold, v[t+1] = (1 - d) v[t] + a - s vth."""

    states: ClassVar = ("v",)
    can_reset: ClassVar = True
    limits: ClassVar = {
        "vth": Limit(1, STATE_LIMIT - 1, register="state"),
        "v_decay_q12": Limit(*DECAY, per_neuron=True),
    }

    vth: int
    v_decay_q12: int | ir.populations.base.IntArray = 0
    floors: bool = False

    def step(self, states, activation):
        held = states["v"].astype(np.int64) * (DECAY_ONE - np.asarray(self.v_decay_q12))
        v = np.sign(held) * (np.abs(held) >> 12) + (activation["real"].astype(np.int64) << 6)
        v = np.clip(v, 0 if self.floors else 1 - STATE_LIMIT, STATE_LIMIT - 1)
        fires = v > self.vth
        return fires.astype(np.int32), {"v": (v - fires * self.vth).astype(np.int32)}


@dataclass(frozen=True, eq=False, kw_only=True)
class RankOne(Synapse):
    """All to all, with the weights of an outer product."""

    limits: ClassVar = {"rows": Limit(-15, 15), "columns": Limit(-15, 15), "delay_steps": Limit(0, 62)}

    rows: np.ndarray
    columns: np.ndarray
    delay_steps: int = 0

    @property
    def weights(self):
        return np.multiply.outer(self.rows, self.columns)

    def problems(self, source, target):
        if (np.shape(self.columns), np.shape(self.rows)) != (source, target):
            yield f"rows and columns must have the ends' shapes {target} and {source}"

    def entries(self, source, target):
        return non_zero(np.arange(*target)[:, None], np.arange(*source)[None], self.weights, self.delay_steps)


STEPS = 6


@pytest.fixture(autouse=True)
def registered():
    for kind in (SoftReset, RankOne):
        ir.register_kind(kind)
    yield
    for kind in (SoftReset, RankOne):
        ir.unregister_kind(kind)


def graph():
    """The input and a layer of soft resets through the synapse, a loop of it on itself, and a `Cuba` behind."""
    rng = np.random.default_rng(0)
    populations = (
        SoftReset("soft", (5,), vth=900, v_decay_q12=rng.integers(0, 1500, 5)),
        SoftReset("floored", (3,), vth=1200, floors=True),
        Cuba("out", (2,), vth_mant=20, v_decay_q12=400),
    )
    synapses = (
        RankOne("in", "soft", rows=rng.integers(-3, 5, 5), columns=rng.integers(-3, 5, 4)),
        RankOne("soft", "floored", rows=np.array([2, -3, 5]), columns=rng.integers(-2, 6, 5), delay_steps=1),
        RankOne("soft", "soft", rows=np.array([1, 0, -2, 1, 3]), columns=np.array([0, 2, 1, -1, 1])),
        Dense("floored", "out", weight=rng.integers(0, 40, (2, 3))),
    )
    return Graph(Input("in", (4,)), populations, synapses, ("out",))


def stream(steps=60, seed=1):
    return np.random.default_rng(seed).integers(0, 2, (steps, 4))


def test_the_definition_is_what_the_reference_runs():
    one = Graph(
        Input("in", (1,)),
        (SoftReset("a", (1,), vth=100, v_decay_q12=2048),),
        (RankOne("in", "a", rows=np.array([3]), columns=np.array([1])),),
        ("a",),
    )
    result = get_backend("reference").run(one, np.ones((4, 1), int), record=True)
    # 3 << 6 = 192 a step from the second on; half of what is left stays: 192 - 100, 46 + 192 - 100, 69 + 192 - 100
    assert result.records["a"].states["v"][:, 0].tolist() == [0, 92, 138, 161]
    assert result.spikes[:, 0].tolist() == [0, 1, 1, 1]


def test_the_exact_backends_agree():
    reference, fast = (
        get_backend(name).run(graph(), stream(), record=True).records for name in ("reference", "fast")
    )
    assert first_difference(reference, fast) is None
    for name in ("soft", "floored", "out"):
        assert 0 < reference[name].s.mean() < 1, name
    batch = np.stack([stream(30, seed) for seed in range(3)])
    for one, spikes in zip(batch, get_backend("fast").run_batch(graph(), batch).spikes, strict=True):
        np.testing.assert_array_equal(spikes, get_backend("reference").run(graph(), one).spikes)


def test_a_backend_that_is_wrong_is_seen(monkeypatch):
    monkeypatch.setattr(RankOne, "accumulate", lambda self, sent, delay, target: np.roll(self.weights @ sent, 1))
    reference, fast = (
        get_backend(name).run(graph(), stream(), record=True).records for name in ("reference", "fast")
    )
    assert first_difference(reference, fast) is not None


def test_passes_checks_and_counts_know_them():
    with pytest.raises(
        GraphError, match="population 'soft': a SoftReset with delayed or recurrent synapses cannot be"
    ):
        run_passes(graph(), STEPS)
    into, onward, _, last = graph().synapses
    scheduled = run_passes(graph().replace(synapses=(into, replace(onward, delay_steps=0), last)), STEPS)
    assert scheduled.timing.sample_steps == STEPS
    x = stream(3 * STEPS).reshape(3, STEPS, 4)
    found = pumice.evaluate(scheduled, zip(x, [0, 1, 0], strict=True), check={"reference": 3})
    assert found.synaptic_events["in -> soft"].sum() > 0
    assert graph_cost(graph()).synapses == sum(np.count_nonzero(s.weights) for s in graph().synapses[:3]) + 6
    assert violations(graph()) == []
    kinds = [row["kind"] for row in summarize(graph())["synapses"]]
    assert kinds == ["rank_one", "rank_one", "rank_one", "dense"]
    with pytest.raises(GraphError, match=r"soft: vth must lie in 1\.\.8388607, got 0"):
        verify_graph(graph().replace(populations=(replace(graph().populations[0], vth=0), *graph().populations[1:])))
    wrong = replace(graph().synapses[0], rows=np.array([-20, 0, 0, 0, 0]))
    with pytest.raises(GraphError, match=r"rows must lie in -15\.\.15, got -20"):
        verify_graph(graph().replace(synapses=(wrong, *graph().synapses[1:])))


def test_files_hold_them_where_they_are_registered(tmp_path):
    certified = certify(graph().replace(timing=Timing(STEPS, 8)), stream(16))
    pumice.save(certified, tmp_path / "a.net")
    back = pumice.load(tmp_path / "a.net")
    assert graph_digests(back) == graph_digests(certified)
    assert back.populations[1].floors is True
    verify(back)
    ir.unregister_kind(RankOne)
    with pytest.raises(FileFormatError, match=r"test_own_kinds:RankOne' is not known; .*registered first"):
        pumice.load(tmp_path / "a.net")


@dataclass(frozen=True, eq=False)
class Wide(SoftReset):
    """With numbers of more than 32 bits."""

    limits: ClassVar = {**SoftReset.limits, "offset": Limit(-(2**31), 2**40, per_neuron=True)}

    offset: int | ir.populations.base.IntArray = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Tapped(RankOne):
    """With a tuple."""

    limits: ClassVar = {**RankOne.limits, "taps": Limit(0, 2**40)}

    taps: tuple[int, ...]


@pytest.mark.parametrize(("offset", "taps"), [(-(2**31), (2**40,)), (2**40, (3, 4)), (np.array([0, 2**33, 1]), (5,))])
def test_whatever_a_kind_allows_comes_back_from_a_file(tmp_path, offset, taps):
    for kind in (Wide, Tapped):
        ir.register_kind(kind)
    try:
        made = Wide("a", (3,), vth=5, offset=offset)
        synapse = Tapped("in", "a", rows=np.arange(3), columns=np.arange(2), taps=taps)
        pumice.save(Graph(Input("in", (2,)), (made,), (synapse,), ("a",)), tmp_path / "a.net")
        back = pumice.load(tmp_path / "a.net")
    finally:
        for kind in (Wide, Tapped):
            ir.unregister_kind(kind)
    np.testing.assert_array_equal(back.populations[0].offset, offset)
    assert (type(back.populations[0].offset), back.synapses[0].taps) == (type(made.offset), taps)


@pytest.mark.parametrize("use", [verify_graph, lambda g: get_backend("fast").run(g, stream()), graph_cost])
@pytest.mark.parametrize("kind", [SoftReset, RankOne])
def test_they_are_refused_where_they_are_not(tmp_path, use, kind):
    ir.unregister_kind(kind)
    with pytest.raises(PumiceError, match=f"unknown kind {kind.__name__}; known: "):
        use(graph())
    with pytest.raises(PumiceError, match=f"unknown kind {kind.__name__}"):
        pumice.save(graph(), tmp_path / "a.net")
    assert not [*tmp_path.iterdir()]


@pytest.mark.lava
def test_lava_runs_the_synapse_and_refuses_the_neurons_by_name():
    lava = graph().replace(
        populations=(Cuba("soft", (5,), vth_mant=3), Cuba("floored", (3,), vth_mant=4), graph().populations[2])
    )
    backends = map(get_backend, ("reference", "lava-in-threads"))
    reference, on_lava = (backend.run(lava, stream(12), record=True).records for backend in backends)
    assert first_difference(reference, on_lava) is None
    assert reference["floored"].s.any()
    with pytest.raises(PumiceError, match=r"unknown kind SoftReset in Lava's processes; known: "):
        get_backend("lava-in-threads").run(graph(), stream(3))


def test_lists_hold_them_once():
    ir.register_kind(SoftReset)
    assert population_kinds().count(SoftReset) == synapse_kinds().count(RankOne) == 1
    assert SoftReset not in synapse_kinds()


class NoDataclass(SoftReset):
    pass


@dataclass(frozen=True, eq=False)
class NoStep(Population):
    pass


@dataclass(frozen=True, eq=False)
class NoLimits(SoftReset):
    more: int = 0


@dataclass(frozen=True)
class Compared(SoftReset):
    pass


def another_cuba():
    return dataclass(frozen=True, eq=False)(type("Cuba", (SoftReset,), {}))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (int, "must be a subclass of Population or Synapse, got <class 'int'>"),
        (list[int], r"must be a subclass of Population or Synapse, got list\[int\]"),
        ("Cuba", "must be a subclass of Population or Synapse, got 'Cuba'"),
        (NoDataclass, r"NoDataclass must be a dataclass of its own: @dataclass\(frozen=True, eq=False\)"),
        (Compared, "Compared must be a dataclass of its own"),
        (NoStep, "NoStep does not define step"),
        (NoLimits, "NoLimits.more has no limits, so any number would pass"),
        (another_cuba(), "there is another kind called Cuba"),
    ],
)
def test_what_cannot_be_registered(kind, message):
    with pytest.raises(InputError, match=f"register_kind: {message}"):
        ir.register_kind(kind)
