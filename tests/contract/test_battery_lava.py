"""Lava passes the battery: in threads, where the models are Lava's and the channels ours, and under its own runtime.

The runtime starts a process for each of a graph's, which costs more than all their steps. So the quick suite gives it
cases that together have every kind of process that the battery has, and the slow one gives it all.
"""

from dataclasses import replace

import pytest

from pumice.backends.lava import GraphProcess, LavaBackend
from pumice.backends.lava.compiling import connected
from pumice.testing import BackendBattery
from pumice.testing.battery import _edge, _group
from pumice.testing.battery_groups import EDGES, GROUPS, PROMISES, STEPS, small_cases


def kinds(graph, x):
    """Lava's processes of a graph: the class of each, and of a synapse whether its messages have values."""
    promised = replace(graph.input, value_range=(int(x.min()), int(x.max())))
    neurons = GraphProcess(graph.replace(input=promised)).populations.values()
    found = {p for neuron in neurons for p in connected(neuron) if not isinstance(p, GraphProcess)}
    return {(type(p), hasattr(p, "num_message_bits") and bool(p.num_message_bits.init)) for p in found}


def with_new_kinds(cases, x, seen):
    """The cases that have a kind of process which none before them has."""
    kept = {}
    for name, graph in cases.items():
        if not seen >= (found := kinds(graph, x)):
            kept[name] = graph
            seen |= found
    return kept


@pytest.mark.lava
class TestLavaInThreads(BackendBattery):
    # Lava's neurons send spikes: there, an accumulator's voltage can be read but not sent to other neurons.
    unsupported = frozenset({"accumulator_graded", "accumulator_as_spikes"})

    def make_backend(self):
        return LavaBackend(in_threads=True)


@pytest.mark.lava
class TestLava(TestLavaInThreads):
    def make_backend(self):
        return LavaBackend()

    def test_every_kind_of_process_equals_the_reference(self):
        seen = set()
        for group in GROUPS:
            cases, x, truth = _group(group)
            supported = {name: graph for name, graph in cases.items() if name not in self.unsupported}
            self._compare(with_new_kinds(supported, x, seen), x[:STEPS], truth)
        assert {kind.__name__ for kind, _ in seen} == {
            *("LIF", "LIFReset", "Sigma", "Delta", "SigmaDelta", "RF", "RF_IZ"),
            *("Dense", "Sparse", "Conv", "DelayDense", "DelaySparse"),
        }

    @pytest.mark.slow
    @pytest.mark.parametrize("group", GROUPS)
    def test_equals_the_reference(self, group):
        super().test_equals_the_reference(group)

    def test_a_single_step(self):
        cases, (x, truth) = small_cases(), _edge("one step")[1:]
        self._compare(cases, x, truth)

    @pytest.mark.slow
    @pytest.mark.parametrize("edge", EDGES)
    def test_edges_of_the_input(self, edge):
        super().test_edges_of_the_input(edge)

    @pytest.mark.slow
    @pytest.mark.parametrize("promise", PROMISES)
    def test_what_the_input_promises(self, promise):
        super().test_what_the_input_promises(promise)

    @pytest.mark.slow
    def test_a_long_stream(self):
        super().test_a_long_stream()

    @pytest.mark.slow
    def test_a_batch(self):
        super().test_a_batch()
