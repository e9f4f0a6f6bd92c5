"""The list of passes is the program; each keeps its contract, and errors name it."""

from dataclasses import replace

import pytest

from pumice.errors import GraphError, InternalError
from pumice.ir import Cuba, OneToOne, Timing
from pumice.ir.builder import chain
from pumice.passes import order
from pumice.passes.base import PassResult
from pumice.passes.order import PASSES, Pass, Settings, run_passes


def graph():
    """Two paths of unequal length, and a population that nobody hears."""
    plain = chain((4,), [4, 4, 4], seed=0)
    skip = OneToOne("input", "dense2", weight=20)
    side = (Cuba("side", (4,), vth_mant=5), OneToOne("input", "side", weight=2))
    return plain.replace(populations=(*plain.populations, side[0]), synapses=(*plain.synapses, skip, side[1]))


def doing(name, run):
    return tuple(replace(step, run=run) if step.name == name else step for step in PASSES)


def test_the_list_is_the_program(monkeypatch):
    called = []

    def watched(step: Pass) -> Pass:
        return replace(step, run=lambda g, s: (called.append(step.name), step.run(g, s))[1])

    monkeypatch.setattr(order, "PASSES", tuple(map(watched, PASSES)))
    run_passes(graph(), 5)
    assert called == ["prune_dead", "share_currents", "balance_latency", "insert_relays", "schedule_resets"]
    assert all(step.why for step in PASSES)


@pytest.mark.parametrize("step", PASSES, ids=lambda step: step.name)
def test_a_second_run_changes_nothing(step):
    made, settings = graph(), Settings(sample_steps=5)
    for earlier in PASSES[: PASSES.index(step) + 1]:
        made = earlier.run(made, settings).graph
    again = step.run(made, settings)
    assert again.graph is made
    assert not again.modified


def test_errors_name_the_pass():
    with pytest.raises(GraphError, match=r"^schedule_resets: period_steps"):
        run_passes(graph(), 5, period_steps=2)
    with pytest.raises(GraphError, match=r"^share_currents: residual must be one of"):
        run_passes(graph(), 5, residual="both")
    with pytest.raises(GraphError, match=r"^prune_dead: the graph is scheduled already"):
        run_passes(graph().replace(timing=Timing(sample_steps=5, period_steps=8)), 5)


def test_a_pass_that_leaves_paths_unbalanced_is_named(monkeypatch):
    monkeypatch.setattr(order, "PASSES", doing("balance_latency", lambda g, _: PassResult(g, False)))
    with pytest.raises(GraphError, match=r"^balance_latency: .*arrive at different steps"):
        run_passes(graph(), 5)


@pytest.mark.parametrize("wrong", [lambda g: PassResult(g, True), lambda g: PassResult(g.replace(), False)])
def test_a_pass_that_misstates_whether_it_changed_something_is_named(monkeypatch, wrong):
    monkeypatch.setattr(order, "PASSES", doing("prune_dead", lambda g, _: wrong(g)))
    with pytest.raises(InternalError, match="prune_dead says modified"):
        run_passes(graph(), 5)
