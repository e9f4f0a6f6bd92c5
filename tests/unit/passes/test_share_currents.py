from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pumice.backends.reference import ReferenceBackend
from pumice.errors import GraphError
from pumice.ir import (
    Conv,
    Cuba,
    Dense,
    Graph,
    Input,
    OneToOne,
    SigmaDelta,
    from_stream,
    latencies,
    to_stream,
    verify_graph,
)
from pumice.ir.builder import even_weights
from pumice.passes.check_ranges import check_ranges
from pumice.passes.cost import graph_cost
from pumice.passes.order import run_passes
from pumice.passes.share_currents import share_currents


def stream(n_blocks=3, channels=4, inner=3, seed=0):
    """A residual stream from the input: each block reads all earlier branches, and adds one of its own."""
    rng = np.random.default_rng(seed)

    def kernel(n_out, n_in):
        return even_weights(rng, (n_out, 1, 1, n_in), 60)

    branches = [("input", kernel(channels, 2))]
    populations, synapses = [], []
    for block in range(n_blocks):
        reads, hidden = f"read{block}", f"hidden{block}"
        populations += [
            Cuba(reads, (2, 2, channels), vth_mant=40, v_decay_q12=2048, bias_mant=block),
            Cuba(hidden, (2, 2, inner), vth_mant=8, v_decay_q12=2048, bias_mant=3),
        ]
        for source, weight in branches:
            synapses.append(Conv(source, reads, source == "input", weight=weight.copy()))
        synapses.append(Conv(reads, hidden, weight=kernel(inner, channels)))
        branches.append((hidden, kernel(channels, inner)))
    return Graph(Input("input", (2, 2, 2), (0, 8)), tuple(populations), tuple(synapses), (f"hidden{n_blocks - 1}",))


def relays(graph):
    return [p.name for p in graph.populations if isinstance(p, SigmaDelta)]


def records(graph, samples):
    got = ReferenceBackend().run(graph, to_stream(graph, samples), record=True).records
    steps = latencies(graph)
    return {n: from_stream(graph, r.s, len(samples), latency=steps[n]) for n, r in got.items() if n in steps}


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("n_blocks", [2, 4])
def test_every_other_populations_spikes_stay(n_blocks, steps):
    graph = stream(n_blocks)
    samples = np.random.default_rng(1).integers(0, 9, (20, steps, 2, 2, 2))
    plain = records(run_passes(graph, steps, residual="synapses"), samples)
    relayed = run_passes(graph, steps, residual="relays")
    shared = records(relayed, samples)
    assert len(relays(relayed)) == n_blocks - 1
    for name, spikes in plain.items():
        assert_array_equal(shared[name], spikes)
    assert all(plain[name].any() and not plain[name].all() for name in ("read0", "hidden0", f"read{n_blocks - 1}"))


def test_a_defect_in_a_relay_shows():
    """Planted: another weight behind a relay, a relay that rectifies, and a delay that is not made up for."""
    samples = np.random.default_rng(1).integers(0, 9, (20, 5, 2, 2, 2))
    graph = run_passes(stream(), 5, residual="relays")
    expected = records(graph, samples)
    place, hop = next((i, s) for i, s in enumerate(graph.synapses) if s.source == "read0_sum" and s.target != "read0")

    def with_hop(changed):
        return graph.replace(synapses=(*graph.synapses[:place], changed, *graph.synapses[place + 1 :]))

    rectified = [replace(p, relu=True) if isinstance(p, SigmaDelta) else p for p in graph.populations]
    for broken in (with_hop(replace(hop, weight=2)), graph.replace(populations=tuple(rectified))):
        assert (records(broken, samples)["read1"] != expected["read1"]).any()
    with pytest.raises(GraphError, match="its sources arrive at different steps"):
        verify_graph(with_hop(replace(hop, balance_steps=hop.balance_steps + 1)))


def test_the_cheaper_way_is_taken():
    """Blocks with many inner neurons are read through relays; with one inner neuron a synapse is cheaper."""
    wide = stream(inner=16)
    costs = {way: graph_cost(run_passes(wide, 4, residual=way)).total for way in ("synapses", "relays", "auto")}
    assert costs["auto"] <= costs["relays"] < costs["synapses"]
    assert relays(run_passes(wide, 4))
    narrow = stream(n_blocks=2, inner=1)
    costs = {way: graph_cost(run_passes(narrow, 4, residual=way)).total for way in ("synapses", "relays", "auto")}
    assert costs["auto"] == costs["synapses"] < costs["relays"]
    assert not relays(run_passes(narrow, 4))


def test_the_second_time_nothing_changes():
    first = share_currents(stream(), "relays")
    assert first.modified
    second = share_currents(first.graph, "relays")
    assert not second.modified
    assert second.graph is first.graph
    assert not share_currents(stream(), "synapses").modified


def test_weights_that_differ_are_not_shared():
    graph = stream(2)
    changed = tuple(
        replace(s, weight=s.weight + 2) if (s.source, s.target) == ("input", "read1") else s for s in graph.synapses
    )
    assert relays(share_currents(graph, "relays").graph) == ["read0_sum"]
    assert not relays(share_currents(graph.replace(synapses=changed), "relays").graph)


def test_what_a_relay_sends_is_bounded_by_what_it_receives():
    graph = run_passes(stream(), 4, residual="relays")
    assert check_ranges(graph) == []
    loud = tuple(replace(p, relu=True) if isinstance(p, SigmaDelta) else p for p in graph.populations)
    assert check_ranges(graph.replace(populations=loud))  # no relay: its values are not known


def test_an_unknown_way_is_refused():
    with pytest.raises(GraphError, match="one of auto, synapses, relays, got 'both'"):
        share_currents(stream(), "both")


def test_the_graph_stays_valid():
    graph = run_passes(stream(), 4, residual="relays")
    assert verify_graph(graph) is graph
    hops = [s for s in graph.synapses if isinstance(s, OneToOne)]
    assert all(s.graded and s.weight == 1 for s in hops)


def test_a_part_that_is_received_twice_is_another_sum():
    """Two readers of a + b, and one of a + a, which has as many synapses of theirs."""
    rng = np.random.default_rng(0)
    a, b = (even_weights(rng, (4, 1, 1, 2), 60) for _ in range(2))
    populations = [Cuba("first", (2, 2, 2), vth_mant=30, v_decay_q12=2048, bias_mant=1)]
    synapses = [OneToOne("input", "first", True, weight=20)]
    for name, parts in {"one": (a, b), "other": (a, b), "double": (a, a)}.items():
        populations.append(Cuba(name, (2, 2, 4), vth_mant=40, v_decay_q12=2048))
        synapses.append(Conv("first", name, weight=parts[0].copy()))
        synapses.append(
            Conv("first", name, weight=parts[1].copy()) if parts[1] is a else Conv("input", name, True, weight=b)
        )
    graph = Graph(Input("input", (2, 2, 2), (0, 8)), tuple(populations), tuple(synapses), ("one", "other", "double"))
    samples = rng.integers(0, 9, (20, 5, 2, 2, 2))
    plain = records(run_passes(graph, 5, residual="synapses"), samples)
    relayed = run_passes(graph, 5, residual="relays")
    assert len(relays(relayed)) == 1
    shared = records(relayed, samples)
    for name, spikes in plain.items():
        assert spikes.any()
        assert_array_equal(shared[name], spikes)


def test_a_sum_of_what_a_population_sends_does_not_feed_it():
    """The population a feeds itself and b by equal weights: a relay for both would wait for itself."""
    weight = even_weights(np.random.default_rng(0), (5, 5), 60)
    populations = (Cuba("a", (5,), vth_mant=20, v_decay_q12=2048), *(Cuba(n, (5,), vth_mant=20) for n in ("b", "c")))
    graph = Graph(
        Input("input", (5,), (0, 1)),
        populations,
        (Dense("input", "a", weight=weight), *(Dense("a", name, weight=weight.copy()) for name in ("a", "b", "c"))),
        ("b", "c"),
    )
    for residual in ("auto", "relays"):
        lowered = run_passes(graph, 6, residual=residual)
        verify_graph(lowered)
        assert [(s.source, s.target) for s in lowered.into("a")].count(("a", "a")) == 1
    assert relays(lowered) == ["b_sum"]  # which b and c share
    samples = np.random.default_rng(1).integers(0, 2, (3, 6, 5))
    plain = records(run_passes(graph, 6, residual="synapses"), samples)
    shared = records(lowered, samples)
    for name in ("a", "b", "c"):
        assert_array_equal(shared[name], plain[name])
    assert shared["c"].any()
