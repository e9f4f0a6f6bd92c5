"""What is left out did not matter."""

import numpy as np
from numpy.testing import assert_array_equal

from pumice.backends import run
from pumice.ir import (
    Cuba,
    Dense,
    Sparse,
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
