"""A kind of population or synapse that is on no list is refused everywhere; one that is only has to state its facts.

Nothing may take what it does not know for something that it does.
"""

import pkgutil
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest

import pumice.passes
from pumice import ir
from pumice.backends import get_backend
from pumice.backends.evaluate import evaluate
from pumice.backends.verify import certify, first_difference
from pumice.cli.summary import summarize
from pumice.errors import PumiceError
from pumice.hardware import load_constants, violations
from pumice.ir import (
    Cuba,
    Dense,
    Graph,
    Input,
    Population,
    Timing,
    graph_digests,
    populations,
    synapses,
    verify_graph,
)
from pumice.ir.limits import Limit
from pumice.ir.synapses.base import WEIGHT_LIMITS, non_zero
from pumice.netx import load, save, tables
from pumice.passes.balance_latency import balance_latency
from pumice.passes.check_ranges import check_ranges
from pumice.passes.cost import graph_cost
from pumice.passes.current_bounds import current_bounds
from pumice.passes.insert_relays import insert_relays
from pumice.passes.order import run_passes
from pumice.passes.prune_dead import prune_dead
from pumice.passes.schedule_resets import schedule_resets
from pumice.passes.share_currents import share_currents
from pumice.passes.sparsify import sparsify
from pumice.passes.split_fan_in import split_fan_in
from pumice.passes.unschedule import unschedule
from pumice.planner.placement import unplaceable
from pumice.planner.split import Rules


@dataclass(frozen=True, eq=False)
class Novel(Population):
    """Neurons that fire when more than so much arrives at once, and have no memory."""

    states = ("last",)
    limits = {"vth": Limit(0, 10**9, register="vth_mant")}  # noqa: RUF012

    vth: int = 10**9

    def step(self, states, activation):
        return (activation["real"] > self.vth).astype(np.int32), {"last": activation["real"]}


@dataclass(frozen=True, eq=False)
class AdaptiveCuba(Cuba):
    """A subclass is a kind of its own: what makes it one, no table of `Cuba` knows."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Shifted(ir.Synapse):
    """Each neuron feeds its neighbour to the right, all with one weight."""

    limits = WEIGHT_LIMITS

    weight: int
    weight_exp: int = 0
    delay_steps: int = 0

    @property
    def weights(self):
        return np.asarray(self.weight)

    def problems(self, source, target):
        if source != target or len(source) != 1:
            yield f"shapes must be one and the same row, got {source} and {target}"

    def entries(self, source, target):
        n = source[0] - 1
        return non_zero(np.arange(n) + 1, np.arange(n), self.weight, self.delay_steps)


@dataclass(frozen=True, eq=False, kw_only=True)
class PlasticDense(Dense):
    """A subclass of a known kind."""


X = np.ones((5, 4), int)
WEIGHT = np.full((3, 4), 2)


def graph_of(population, synapse):
    second = Cuba("b", (2,), vth_mant=5)
    onward = Dense("a", "b", weight=np.full((2, population.size), 2))
    return Graph(Input("in", (4,)), (population, second), (synapse, onward), ("b",))


KNOWN_SYNAPSE = Dense("in", "a", weight=WEIGHT)
SHIFTED = Shifted("in", "a", weight=6, weight_exp=1, delay_steps=2)
UNKNOWN = {
    "Novel": graph_of(Novel("a", (3,)), KNOWN_SYNAPSE),
    "AdaptiveCuba": graph_of(AdaptiveCuba("a", (3,), vth_mant=5), KNOWN_SYNAPSE),
    "Shifted": graph_of(Cuba("a", (4,), vth_mant=5), SHIFTED),
    "PlasticDense": graph_of(Cuba("a", (3,), vth_mant=5), PlasticDense("in", "a", weight=WEIGHT)),
}
OF_THE_PACKAGE = {
    "verify_graph": verify_graph,
    "graph_digests": graph_digests,
    "certify": lambda graph: certify(graph, X),
    "violations": violations,
    "summarize": summarize,
    "prune_dead": prune_dead,
    "share_currents": share_currents,
    "share_currents by synapses": lambda graph: share_currents(graph, "synapses"),
    "balance_latency": balance_latency,
    "insert_relays": insert_relays,
    "schedule_resets": lambda graph: schedule_resets(graph, 5),
    "check_ranges": check_ranges,
    "graph_cost": graph_cost,
    "run_passes": lambda graph: run_passes(graph, 5),
    "plan": pumice.plan,
    "unplaceable": lambda graph: unplaceable(graph, Rules(load_constants())),
    "split_fan_in": lambda graph: split_fan_in(graph, lambda graph, name: None),
    "unschedule": lambda graph: unschedule(graph.replace(timing=Timing(5, 8))),
    "sparsify": lambda graph: sparsify(graph, 0.5),
    "evaluate": lambda graph: evaluate(graph.replace(timing=Timing(5, 8)), [(X, 1)]),
    "reference": lambda graph: get_backend("reference").run(graph, X),
    "fast": lambda graph: get_backend("fast").run(graph, X),
    "fast, batch": lambda graph: get_backend("fast").run_batch(graph, X[None]),
}


@pytest.mark.parametrize("kind", UNKNOWN)
@pytest.mark.parametrize("what", OF_THE_PACKAGE)
def test_a_kind_that_the_package_does_not_know_is_refused_by_name(what, kind):
    with pytest.raises(PumiceError, match=f"unknown kind {kind}[ ;].*known: "):
        OF_THE_PACKAGE[what](UNKNOWN[kind])


@pytest.mark.parametrize("kind", UNKNOWN)
def test_such_a_graph_is_not_saved(tmp_path, kind):
    with pytest.raises(PumiceError, match=f"unknown kind {kind}"):
        save(UNKNOWN[kind], tmp_path / "a.net")
    assert not [*tmp_path.iterdir()]


def test_every_pass_is_among_them():
    modules = {module.name for module in pkgutil.iter_modules(pumice.passes.__path__)}
    elsewhere = {"base", "order", "current_bounds", "value_bounds"}  # of no graph, or below
    tried = {name.partition(" ")[0] for name in OF_THE_PACKAGE} | {"cost"}
    assert modules - elsewhere <= tried


# A kind that is on the list of `ir`, and in no table: it runs as its definition says, and what needs a row says so.

NOVEL = UNKNOWN["Novel"].replace(populations=(Novel("a", (3,), vth=7), UNKNOWN["Novel"].populations[1]))
SHIFT = UNKNOWN["Shifted"]


@pytest.fixture
def listed(monkeypatch):
    monkeypatch.setattr(populations, "KINDS", (*populations.KINDS, Novel))
    monkeypatch.setattr(synapses, "KINDS", (*synapses.KINDS, Shifted))


@pytest.mark.usefixtures("listed")
def test_the_facts_of_a_new_kind_reach_everyone():
    """What it states itself is all that there is of it: `Shifted` has no other line in the package."""
    assert certify(SHIFT, X).certificate is not None
    assert violations(SHIFT) == []
    assert violations(SHIFT.replace(synapses=(replace(SHIFTED, weight=255, delay_steps=62), SHIFT.synapses[1]))) == []
    assert summarize(SHIFT)["synapses"][0]["kind"] == "shifted"
    assert graph_cost(SHIFT).synapses == 3 + 8
    assert [low.tolist() for low in current_bounds(SHIFT, "a")] == [[0] * 4, [0, 12, 12, 12]]
    assert check_ranges(SHIFT.replace(populations=(Cuba("a", (4,), vth_mant=5, i_decay_q12=0), SHIFT.populations[1])))
    dead = SHIFT.replace(synapses=(replace(SHIFTED, weight=0), *SHIFT.synapses))
    assert len(prune_dead(dead).graph.synapses) == 2
    scheduled = run_passes(SHIFT, 5)
    assert scheduled.timing.period_steps == 8
    found = evaluate(scheduled, [(X, 1)], check={"reference": 1})
    assert found.synaptic_events["in -> a"].sum() == 3 * 5
    assert pumice.plan(SHIFT, X).counts.operations[:, 0].sum() == 3 * 5


@pytest.mark.usefixtures("listed")
def test_a_new_population_states_its_facts():
    assert violations(UNKNOWN["Novel"]) == ["population a: vth must lie in 0..131071, got 1000000000"]
    with pytest.raises(PumiceError, match=r"population a: vth must lie in 0..1000000000, got -1"):
        verify_graph(NOVEL.replace(populations=(Novel("a", (3,), vth=-1), NOVEL.populations[1])))
    with pytest.raises(PumiceError, match="a Novel cannot be reset"):
        verify_graph(NOVEL.replace(populations=(Novel("a", (3,), reset=ir.Reset(4)), NOVEL.populations[1])))
    assert check_ranges(NOVEL) == ["a: no bound is known for the states of a Novel"]
    np.testing.assert_array_equal(current_bounds(NOVEL, "b")[1], [6, 6])


@pytest.mark.parametrize("graph", [NOVEL, SHIFT], ids=["Novel", "Shifted"])
@pytest.mark.usefixtures("listed")
def test_a_new_kind_runs_on_the_exact_backends(graph):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (40, 4))
    reference, fast = (get_backend(name).run(graph, x, record=True).records for name in ("reference", "fast"))
    assert first_difference(reference, fast) is None
    assert reference["a"].s.any()
    assert not reference["a"].s.all()
    batch = rng.integers(0, 2, (3, 40, 4))
    for one, spikes in zip(batch, get_backend("fast").run_batch(graph, batch).spikes, strict=True):
        np.testing.assert_array_equal(spikes, get_backend("reference").run(graph, one).spikes)


@pytest.mark.usefixtures("listed")
def test_its_definition_is_what_runs(monkeypatch):
    """Teeth: with another definition the backends part, as fast has compiled what the entries said."""
    monkeypatch.setattr(Shifted, "accumulate", lambda self, sent, delay, target: np.roll(sent, -1) * 12)
    reference, fast = (get_backend(name).run(SHIFT, X, record=True).records for name in ("reference", "fast"))
    assert first_difference(reference, fast) is not None


@pytest.mark.parametrize(("graph", "kind"), [(NOVEL, "Novel"), (SHIFT, "Shifted")], ids=["Novel", "Shifted"])
@pytest.mark.usefixtures("listed")
def test_the_file_format_needs_a_row(monkeypatch, tmp_path, graph, kind):
    with pytest.raises(PumiceError, match=f"unknown kind {kind} in the file format; known: "):
        save(graph, tmp_path / "a.net")
    assert not [*tmp_path.iterdir()]
    novel = tables.Kind(Novel, (tables.Field("vTh", "vth", 10**9),))
    shifted = tables.Kind(Shifted, (tables.Field("weight", "weight"), tables._WEIGHT_EXP, tables._DELAY))
    monkeypatch.setitem(tables.POPULATIONS, "novel", novel)
    monkeypatch.setitem(tables.SYNAPSES, "shifted", shifted)
    save(graph, tmp_path / "a.net")
    back = load(tmp_path / "a.net")
    assert graph_digests(back) == graph_digests(graph)


@pytest.mark.lava
@pytest.mark.usefixtures("listed")
def test_lava_runs_a_new_synapse_and_needs_a_process_for_new_neurons():
    x = np.random.default_rng(0).integers(0, 2, (12, 4))
    backends = map(get_backend, ("reference", "lava-in-threads"))
    reference, lava = (backend.run(SHIFT, x, record=True).records for backend in backends)
    assert first_difference(reference, lava) is None
    with pytest.raises(PumiceError, match=r"unknown kind Novel in Lava's processes; known: "):
        get_backend("lava-in-threads").run(NOVEL, x)


def test_every_table_of_the_file_format_is_complete():
    assert {kind.made for kind in tables.POPULATIONS.values()} == set(populations.KINDS)
    assert {kind.made for kind in tables.SYNAPSES.values()} == set(synapses.KINDS)


def test_every_number_of_a_kind_has_a_limit():
    """So that no kind's numbers pass unchecked into a graph, a file or a chip."""
    # `problems` checks these.
    structure = {"stride", "padding", "output_padding", "dilation", "groups", "rows", "columns"}
    for kind in (*populations.KINDS, *synapses.KINDS):
        own = {f.name for f in fields(kind)} - {f.name for f in (*fields(Population), *fields(ir.Synapse))}
        flags = {f.name for f in fields(kind) if f.type == "bool"}
        assert own - flags - structure == set(kind.limits), kind
