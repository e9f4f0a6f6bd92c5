"""Each pass does what it says, keeps what it says, is truthful about it, and does it once."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pumice.backends import run
from pumice.backends.lava import LavaBackend
from pumice.backends.verify import first_difference
from pumice.errors import GraphError
from pumice.ir import (
    Cuba,
    Dense,
    Direct,
    Graph,
    Input,
    OneToOne,
    Sigma,
    SigmaDelta,
    Sparse,
    from_stream,
    latencies,
    to_stream,
    verify_graph,
)
from pumice.ir.builder import chain, even_weights
from pumice.passes.balance_latency import balance_latency
from pumice.passes.insert_relays import insert_relays
from pumice.passes.order import run_passes
from pumice.passes.prune_dead import prune_dead
from pumice.passes.schedule_resets import schedule_resets


def diamond(length, seed=0, vth_mant=100):
    """A chain, and a shortcut from its first population to its last."""
    graph = chain((4,), [4] * (length + 1), seed=seed, vth_mant=vth_mant)
    skip = OneToOne("dense0", f"dense{length}", weight=60)
    return graph.replace(synapses=(*graph.synapses, skip))


def loop(seed=0, bias=40):
    """A recurrent population with a bias, and a delayed synapse behind it."""
    rng = np.random.default_rng(seed)
    populations = (
        Cuba("a", (5,), vth_mant=200, i_decay_q12=2048, v_decay_q12=300, bias_mant=bias),
        Cuba("b", (3,), vth_mant=200, v_decay_q12=300, bias_mant=bias),
    )
    synapses = (
        Dense("input", "a", weight=even_weights(rng, (5, 4), 100)),
        Dense("a", "a", weight=even_weights(rng, (5, 5), 100), delay_steps=2),
        Dense("a", "b", weight=even_weights(rng, (3, 5), 100), delay_steps=np.array([0, 1, 5, 3, 2])),
    )
    return Graph(Input("input", (4,), (0, 1)), populations, synapses, outputs=("b",))


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


@pytest.mark.parametrize("length", [1, 4, 20])
def test_a_balanced_graph_adds_up_what_belongs_together(length):
    """With memory-less neurons, each output step depends on one input step only: that of its latency before."""
    graph = balance_latency(diamond(length, vth_mant=0)).graph
    graph = graph.replace(
        populations=tuple(replace(p, i_decay_q12=4096, v_decay_q12=4096) for p in graph.populations)
    )
    x = np.random.default_rng(1).integers(0, 2, (30, 4))
    tail = np.zeros((graph.latency, 4), int)
    together = run(graph, np.concatenate([x, tail])).spikes[graph.latency :]
    alone = [run(graph, np.concatenate([x[k : k + 1], tail])).spikes[graph.latency] for k in range(len(x))]
    assert_array_equal(together, alone)
    assert together.any()


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


def test_relays_can_be_forbidden():
    balanced = balance_latency(diamond(70)).graph
    with pytest.raises(GraphError, match=r"dense0 -> dense70: it needs a delay of 69, allowed are 62; allow relays"):
        insert_relays(balanced, allowed=False)


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


def test_a_direct_input_that_is_early_is_refused():
    graph = chain((4,), [4, 4], seed=0)
    with pytest.raises(GraphError, match="a direct input has no delay, but arrives 2 steps before"):
        balance_latency(graph.replace(synapses=(*graph.synapses, Direct("input", "dense1"))))


@pytest.mark.parametrize("seed", range(5))
def test_a_thousandth_sample_equals_the_first(seed):
    """Each sample behind others equals the same sample behind silence, at every step; without clocks it does not."""
    rng = np.random.default_rng(seed)
    graph = schedule_resets(loop(seed), 6).graph
    samples = rng.integers(0, 2, (1000 if seed == 0 else 60, 6, 4))
    streamed = from_stream(graph, run(graph, to_stream(graph, samples)).spikes, len(samples))
    for i in (1, 7, len(samples) - 1):
        fresh = from_stream(graph, run(graph, to_stream(graph, samples[i : i + 1])).spikes, 1)
        assert_array_equal(streamed[i], fresh[0])
    assert streamed.any()


def test_without_clocks_samples_disturb_each_other():
    graph = schedule_resets(loop(), 6).graph
    bare = graph.replace(synapses=tuple(s for s in graph.synapses if not s.source.endswith("_clock")))
    samples = np.random.default_rng(0).integers(0, 2, (20, 6, 4))
    streamed = from_stream(graph, run(bare, to_stream(graph, samples)).spikes, 20)
    fresh = [from_stream(graph, run(bare, to_stream(graph, s[None])).spikes, 1)[0] for s in samples]
    assert (streamed != fresh).any()


def test_the_clock_holds_back_every_neuron_at_the_end_of_the_gap():
    graph = schedule_resets(loop(bias=4000), 6).graph
    period, reach = graph.timing.period_steps, 5
    x = np.ones((6 * period, 4), int)
    records = run(graph, x, record=True).records
    first = graph.timing.lead_steps + latencies(graph)["a"]
    window = records["a"].s[first : first + 2 * period].reshape(2, period, -1)
    assert not window[:, period - reach :].any()
    assert window[:, : period - reach].any()


def test_a_period_without_room_for_the_gap_is_refused():
    with pytest.raises(GraphError, match=r"period_steps must be >= 11 \(a sample's 6 steps and a gap of 5"):
        schedule_resets(loop(), 6, period_steps=8)
    with pytest.raises(GraphError, match="scheduled already"):
        schedule_resets(schedule_resets(loop(), 6).graph, 7)


def test_what_cannot_be_held_back_is_refused():
    graph = loop()
    slow = replace(graph.populations[0], i_decay_q12=1)
    with pytest.raises(GraphError, match=r"population 'a': spikes outlive a reset .* would wrap 24 bits"):
        schedule_resets(graph.replace(populations=(slow, graph.populations[1])), 6)


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


def test_all_passes_together_give_a_runnable_graph():
    graph = run_passes(diamond(70), 6)
    samples = np.random.default_rng(0).integers(0, 2, (3, 6, 4))
    assert from_stream(graph, run(graph, to_stream(graph, samples)).spikes, 3).shape == (3, 6, 4)
