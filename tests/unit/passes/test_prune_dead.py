"""What is left out did not matter."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pumice.backends import run
from pumice.ir import (
    Cuba,
    Dense,
    Graph,
    Input,
    Sparse,
    verify_graph,
)
from pumice.ir.builder import chain, diamond
from pumice.passes.balance_latency import balance_latency
from pumice.passes.prune_dead import prune_dead


def test_pruning_keeps_the_output():
    graph = diamond(3)
    dead = Dense("dense0", "dense2", weight=np.zeros((4, 4), int), balance_steps=1)
    side = Cuba("side", (2,), vth_mant=5)
    into = Sparse("input", "side", rows=np.array([0, 1]), columns=np.array([0, 0]), values=np.array([0, 4]))
    larger = balance_latency(
        graph.replace(populations=(*graph.populations, side), synapses=(*graph.synapses, dead, into))
    ).graph
    pruned = prune_dead(larger).graph
    assert [p.name for p in pruned.populations] == [p.name for p in graph.populations]
    assert len(pruned.synapses) == len(graph.synapses)
    x = np.random.default_rng(0).integers(0, 2, (20, 4))
    assert_array_equal(run(pruned, x).spikes, run(larger, x).spikes)


def test_pruning_drops_sparse_zeros_with_their_delays():
    graph = chain((2,), [2], seed=0)
    synapse = Sparse(
        "input",
        "dense0",
        rows=np.array([0, 1, 1]),
        columns=np.array([0, 0, 1]),
        values=np.array([4, 0, 6]),
        delay_steps=np.array([1, 2, 3]),
    )
    pruned = prune_dead(graph.replace(synapses=(synapse,))).graph.synapses[0]
    assert (pruned.values.tolist(), pruned.delay_steps.tolist()) == ([4, 6], [1, 3])


@pytest.mark.parametrize("other", ["from behind", "from a clock"])
def test_a_path_of_zeros_stays_where_it_alone_states_the_latency(other):
    """What comes back from a later population, or from a clock, has no latency."""
    none, some = np.zeros((2, 2), int), np.full((2, 2), 40)
    a, b = (Cuba(name, (2,), vth_mant=30, bias_mant=9) for name in "ab")
    synapses = (Dense("in", "a", weight=none), Dense("a", "b", weight=some))
    if other == "from behind":
        graph = Graph(Input("in", (2,)), (a, b), (*synapses, Dense("b", "a", weight=some)), ("b",))
    else:
        clock = Cuba("clock", (2,), vth_mant=3, bias_mant=1)
        graph = Graph(Input("in", (2,)), (clock, a, b), (*synapses, Dense("clock", "a", weight=some)), ("b",))
    pruned = prune_dead(verify_graph(graph)).graph
    x = np.ones((12, 2), int)
    assert_array_equal(run(verify_graph(pruned), x).spikes, run(graph, x).spikes)
    assert run(graph, x).spikes.any()
