"""Whoever treats each kind of population or synapse in its own way refuses a kind that it does not know.

Two ways to be unknown: to the whole package (a subclass that someone wrote), and to one table only (someone added a
kind to `pumice.ir`, and forgot a place). Nothing may take what it does not know for something that it does.
"""

import inspect
import pkgutil
import sys
from dataclasses import dataclass

import numpy as np
import pytest

import pumice.passes
from pumice import ir
from pumice.backends import get_backend
from pumice.backends.evaluate import evaluate
from pumice.backends.fast.bounds import activation_types, largest_sum
from pumice.backends.fast.links import links
from pumice.backends.fast.neurons import neurons as fast_neurons
from pumice.backends.reference.neurons import neurons as reference_neurons
from pumice.backends.reference.synapses import accumulate
from pumice.backends.verify import certify
from pumice.cli.summary import summarise
from pumice.errors import PumiceError
from pumice.hardware import violations
from pumice.ir import Cuba, Dense, Graph, Input, Population, Timing, graph_digests, kinds, verify_graph
from pumice.ir import verify as ir_verify
from pumice.ir.weights import weights_of
from pumice.netx import save, tables
from pumice.passes.balance_latency import balance_latency
from pumice.passes.check_ranges import check_ranges
from pumice.passes.cost import graph_cost
from pumice.passes.current_bounds import current_bounds
from pumice.passes.insert_relays import insert_relays
from pumice.passes.order import run_passes
from pumice.passes.prune_dead import prune_dead
from pumice.passes.schedule_resets import schedule_resets
from pumice.passes.share_currents import share_currents


@dataclass(frozen=True, eq=False)
class Novel(Population):
    """Not a subclass of any known kind; with a threshold that no register holds."""

    states = ("v",)
    can_reset = True

    vth_mant: int = 10**9


@dataclass(frozen=True, eq=False)
class AdaptiveCuba(Cuba):
    """A subclass is a kind of its own: what makes it one, no table of `Cuba` knows."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Bilinear(ir.Synapse):
    """Not a subclass of any known kind."""

    weight: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class PlasticDense(Dense):
    """A subclass of a known kind."""


X = np.ones((5, 4), int)
WEIGHT = np.full((3, 4), 2)


def graph_of(population, synapse):
    second = Cuba("b", (2,), vth_mant=5)
    onward = Dense("a", "b", weight=np.full((2, 3), 2))
    return Graph(Input("in", (4,)), (population, second), (synapse, onward), ("b",))


KNOWN_SYNAPSE = Dense("in", "a", weight=WEIGHT)
UNKNOWN = {
    "Novel": graph_of(Novel("a", (3,)), KNOWN_SYNAPSE),
    "AdaptiveCuba": graph_of(AdaptiveCuba("a", (3,), vth_mant=5), KNOWN_SYNAPSE),
    "Bilinear": graph_of(Cuba("a", (3,), vth_mant=5), Bilinear("in", "a", weight=WEIGHT)),
    "PlasticDense": graph_of(Cuba("a", (3,), vth_mant=5), PlasticDense("in", "a", weight=WEIGHT)),
}
OF_THE_PACKAGE = {
    "verify_graph": verify_graph,
    "graph_digests": graph_digests,
    "certify": lambda graph: certify(graph, X),
    "violations": violations,
    "summarise": summarise,
    "prune_dead": prune_dead,
    "share_currents": share_currents,
    "share_currents by synapses": lambda graph: share_currents(graph, "synapses"),
    "balance_latency": balance_latency,
    "insert_relays": insert_relays,
    "schedule_resets": lambda graph: schedule_resets(graph, 5),
    "check_ranges": check_ranges,
    "graph_cost": graph_cost,
    "run_passes": lambda graph: run_passes(graph, 5),
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
    elsewhere = {"base", "order", "current_bounds"}  # of no graph, or below
    tried = {name.partition(" ")[0] for name in OF_THE_PACKAGE} | {"cost"}
    assert modules - elsewhere <= tried


# A kind that `ir` knows and accepts, and that no table has.

NOVEL, BILINEAR = UNKNOWN["Novel"], UNKNOWN["Bilinear"]
POPULATION_TABLES = {
    "reference": lambda: reference_neurons(NOVEL.populations[0]),
    "fast": lambda: fast_neurons(NOVEL.populations[0], 1),
    "fast, activation": lambda: activation_types(NOVEL),
    "violations": lambda: violations(NOVEL),
    "check_ranges": lambda: check_ranges(NOVEL),
    "what it sends": lambda: current_bounds(
        NOVEL.replace(synapses=(KNOWN_SYNAPSE, Dense("a", "b", True, weight=np.full((2, 3), 2)))), "b"
    ),
}
SYNAPSE_TABLES = {
    "weights_of": lambda: weights_of(BILINEAR.synapses[0]),
    "reference": lambda: accumulate(BILINEAR.synapses[0], np.ones(4, np.int32), 0, (3,)),
    "fast, bounds": lambda: largest_sum(BILINEAR.synapses[0], 1),
    "fast, links": lambda: links(BILINEAR),
    "violations": lambda: violations(BILINEAR),
    "summarise": lambda: summarise(BILINEAR),
    "prune_dead": lambda: prune_dead(BILINEAR),
    "graph_cost": lambda: graph_cost(BILINEAR),
    "current_bounds": lambda: current_bounds(BILINEAR, "a"),
    "check_ranges": lambda: check_ranges(BILINEAR),
}


@pytest.fixture
def known_to_ir(monkeypatch):
    monkeypatch.setattr(kinds, "POPULATION_KINDS", (*kinds.POPULATION_KINDS, Novel))
    monkeypatch.setattr(kinds, "SYNAPSE_KINDS", (*kinds.SYNAPSE_KINDS, Bilinear))
    monkeypatch.setitem(ir_verify._POPULATION_CHECKS, Novel, lambda _: iter(()))
    monkeypatch.setitem(ir_verify._SYNAPSE_CHECKS, Bilinear, lambda *_: iter(()))


@pytest.mark.parametrize("table", POPULATION_TABLES)
def test_a_population_that_one_table_does_not_know_is_refused(known_to_ir, table):
    verify_graph(NOVEL)
    with pytest.raises(PumiceError, match=r"population a: unknown kind Novel in .*; known: .*Cuba"):
        POPULATION_TABLES[table]()


@pytest.mark.parametrize("table", SYNAPSE_TABLES)
def test_a_synapse_that_one_table_does_not_know_is_refused(known_to_ir, table):
    verify_graph(BILINEAR)
    with pytest.raises(PumiceError, match=r"synapse in -> a: unknown kind Bilinear in .*; known: .*Dense"):
        SYNAPSE_TABLES[table]()


@pytest.mark.parametrize("graph", [NOVEL, BILINEAR])
def test_the_file_format_refuses_it(known_to_ir, tmp_path, graph):
    with pytest.raises(PumiceError, match=r"unknown kind \w+ in the file format; known: "):
        save(graph, tmp_path / "a.net")
    assert not [*tmp_path.iterdir()]


@pytest.mark.lava
@pytest.mark.parametrize("graph", [NOVEL, BILINEAR])
def test_lava_refuses_it(known_to_ir, graph):
    with pytest.raises(PumiceError, match=r"unknown kind \w+ in Lava's processes; known: "):
        get_backend("lava").run(graph, X)


@pytest.mark.lava
def test_so_does_the_list_of_single_weights():
    from pumice.backends.lava.unroll import unroll

    with pytest.raises(PumiceError, match="unknown kind Dense in single weights; known: Sparse"):
        _ = unroll(BILINEAR, KNOWN_SYNAPSE)


def every_table():
    """All dictionaries from kinds to something, in every module of the package that this test has imported."""
    for name, module in sorted(sys.modules.items()):
        if name.startswith("pumice.") and not name.startswith("pumice.testing"):
            for label, value in vars(module).items():
                if isinstance(value, dict) and value and all(inspect.isclass(key) for key in value):
                    yield f"{name}.{label}", set(value)


def test_every_table_of_kinds_is_complete():
    """Of populations or of synapses; a table that holds some may not lack others, unless it is listed here."""
    partial = {"pumice.backends.lava.unroll._RULES", "pumice.backends.reference.synapses._RULES"}
    populations, synapses = set(kinds.POPULATION_KINDS), set(kinds.SYNAPSE_KINDS)
    found = 0
    for name, held in every_table():
        for known in (populations, synapses):
            if held & known:
                found += 1
                assert held == known or name in partial, f"{name} lacks {known - held}"
    assert found >= 12
    assert {kind.made for kind in tables.POPULATIONS.values()} == populations
    assert {kind.made for kind in tables.SYNAPSES.values()} == synapses
