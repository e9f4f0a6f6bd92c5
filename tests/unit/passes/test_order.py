"""The list of passes is the program; each keeps its contract, and errors name it."""

from dataclasses import replace

import numpy as np
import pytest

from pumice.backends import run
from pumice.errors import GraphError, InternalError
from pumice.ir import (
    Cuba,
    OneToOne,
    Timing,
    from_stream,
    to_stream,
)
from pumice.ir.builder import chain, diamond, loop
from pumice.passes import order
from pumice.passes.balance_latency import balance_latency
from pumice.passes.base import PassResult
from pumice.passes.insert_relays import insert_relays
from pumice.passes.order import PASSES, Pass, Settings, run_passes
from pumice.passes.prune_dead import prune_dead
from pumice.passes.schedule_resets import schedule_resets


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
    assert called == [step.name for step in PASSES]
    assert called[0] == "prune_dead"
    assert called[-1] == "schedule_resets"
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


@pytest.mark.parametrize(
    ("apply", "graph"),
    [
        (balance_latency, diamond(3)),
        (insert_relays, balance_latency(diamond(70)).graph),
        (prune_dead, chain((4,), [3, 2], seed=0).replace(outputs=("dense0",))),
        (lambda g: schedule_resets(g, 5), chain((4,), [3, 2], seed=0)),
        (lambda g: schedule_resets(g, 5), loop()),
    ],
)
def test_modified_is_truthful_and_the_second_time_nothing_changes(apply, graph):
    first = apply(graph)
    assert first.modified
    assert first.graph is not graph
    second = apply(first.graph)
    assert not second.modified
    assert second.graph is first.graph


def test_all_passes_together_give_a_runnable_graph():
    graph = run_passes(diamond(70), 6)
    samples = np.random.default_rng(0).integers(0, 2, (3, 6, 4))
    assert from_stream(graph, run(graph, to_stream(graph, samples)).spikes, 3).shape == (3, 6, 4)
