"""Relays pass on what they receive, however long the way."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pumice.backends import run
from pumice.backends.lava import LavaBackend
from pumice.backends.verify import first_difference
from pumice.errors import GraphError
from pumice.ir import (
    Graph,
    Input,
    OneToOne,
    Sigma,
    SigmaDelta,
    latencies,
    verify_graph,
)
from pumice.ir.builder import chain, diamond
from pumice.passes.balance_latency import balance_latency
from pumice.passes.insert_relays import insert_relays
from pumice.passes.order import run_passes


def test_relays_change_nothing_but_the_names():
    balanced = balance_latency(diamond(130)).graph
    long = next(s for s in balanced.synapses if isinstance(s, OneToOne))
    assert long.balance_steps == 129
    graph = verify_graph(insert_relays(balanced).graph)
    relays = [p.name for p in graph.populations if "relay" in p.name]
    assert relays == ["dense0_dense130_relay0", "dense0_dense130_relay1"]
    assert latencies(graph)["dense130"] == 131
    x = np.random.default_rng(1).integers(0, 2, (140, 4))
    u = run(graph, x, record=True).records
    # What the shortcut adds to the last population comes 130 steps after the first one's spikes.
    bare = graph.replace(synapses=tuple(s for s in graph.synapses if s.source not in relays or s.target in relays))
    added = u["dense130"].u[131:] != run(bare, x, record=True).records["dense130"].u[131:]
    assert_array_equal(added.any(1)[:8], u["dense0"].s[1:9].any(1))


def test_relays_pass_on_values_of_any_size():
    """A sigma neuron behind a path of 200 steps holds the sum of all values that were sent 201 steps before."""
    skip = OneToOne("input", "sum", graded=True, weight=1, balance_steps=200)
    graph = Graph(Input("input", (4,)), (Sigma("sum", (4,)),), (skip,), ("sum",))
    relayed = verify_graph(insert_relays(graph).graph)
    assert [p.name for p in relayed.populations] == [*(f"input_sum_relay{i}" for i in range(3)), "sum"]
    assert latencies(relayed)["sum"] == 201
    x = np.random.default_rng(0).integers(-(2**23), 2**23, (601, 4))
    x[:, 0] = 2**23 - 1  # its sum leaves 32 bits, in the relays too
    sums = run(relayed, x).spikes
    assert not sums[:201].any()
    assert_array_equal(sums[201:], np.cumsum(x, axis=0)[:400].astype(np.int32))


def test_two_long_synapses_between_the_same_two_have_relays_of_their_own():
    """A user's population may have a relay's name, too."""
    skips = [OneToOne("input", "sum", graded=True, weight=weight, balance_steps=130) for weight in (1, 2)]
    sums = Sigma("sum", (4,)), Sigma("input_sum_relay1", (4,))
    own = OneToOne("input", "input_sum_relay1", graded=True, weight=1)
    graph = Graph(Input("input", (4,)), sums, (*skips, own), ("sum",))
    relayed = verify_graph(insert_relays(graph).graph)
    names = sorted(p.name for p in relayed.populations)
    assert names == [*(f"input_sum_relay{i}" for i in range(5)), "sum"]
    x = np.random.default_rng(0).integers(0, 9, (200, 4))
    assert_array_equal(run(relayed, x).spikes[131:], 3 * np.cumsum(x, axis=0)[:69])


@pytest.mark.lava
def test_a_graded_shortcut_past_62_steps_runs_on_lava():
    graph = chain((4,), [4] * 66, seed=3, vth_mant=60)
    skip = OneToOne("input", "dense65", graded=True, weight=3)
    graph = run_passes(graph.replace(synapses=(*graph.synapses, skip)), 5)
    assert isinstance(graph.population("input_dense65_relay0"), SigmaDelta)
    x = np.random.default_rng(0).integers(-(2**13), 2**13, (72, 4))
    expected = run(graph, x, record=True).records
    assert first_difference(expected, LavaBackend(in_threads=True).run(graph, x, record=True).records) is None
    assert expected["input_dense65_relay0"].s.any()


def test_a_delay_that_no_relay_shortens_is_refused():
    """It was looked for without end."""
    graph = chain((3,), [2], seed=0)
    late = replace(graph.synapses[0], delay_steps=np.array([0, 63, 5]))
    with pytest.raises(GraphError, match=r"input -> dense0: .* of 63 steps, allowed are 0 to 62; set"):
        insert_relays(graph.replace(synapses=(late,)))
