import numpy as np
import pytest

from pumice.hardware import Range, load_constants
from pumice.ir import Cuba, Dense, Graph, Input, Reset, Resonator, Sigma
from pumice.planner.activity import Activity
from pumice.planner.placement import place
from pumice.planner.split import Rules
from pumice.planner.timing import neuron_cost, population_on, step_time, sync_time

CONSTANTS = load_constants()


def two_layers(first, second, *, reset=None):
    populations = (Cuba("a", (first,), vth_mant=9, reset=reset), Cuba("b", (second,), vth_mant=9))
    synapses = (
        Dense("in", "a", weight=np.ones((first, 2), int)),
        Dense("a", "b", weight=np.ones((second, first), int)),
    )
    graph = Graph(Input("in", (2,)), populations, synapses, ("b",))
    return place(graph, Rules(CONSTANTS), CONSTANTS.board("oheogulch"))


def activity(operations, messages=None):
    operations = np.array(operations, float)
    return Activity("", operations, np.zeros_like(operations) if messages is None else np.array(messages, float))


def test_pilotnets_step_as_the_oracle_counts_it(oracles):
    """The busiest core's operations and the largest core's neurons on two cores, as the published run had them."""
    row = next(row for row in oracles("measurements")["measurements"] if row["id"] == "pilotnet_lif")
    placement = two_layers(row["activity"]["largest_core_neurons"], 1)
    assert placement.cores == 2
    both_on_one = activity([[row["activity"]["busiest_core_synops_per_step"], 0]])
    found = step_time(placement, both_on_one, CONSTANTS)
    assert [round(t) for t in found.mean] == [53, 143, 305]
    assert found.mean.low < row["time_per_step_us"] < found.mean.high
    assert (found.core, found.population, found.term, found.amount) == (0, "a", "synaptic operations", 141138)


def test_the_slowest_core_sets_each_step():
    placement = two_layers(10, 10)
    found = step_time(placement, activity([[1000, 5000], [2000, 1000], [0, 0]]), CONSTANTS)
    assert found.busiest.nominal == pytest.approx(1.8 + 5.0)
    assert found.mean.nominal == pytest.approx((1.8 + 5.0 + 1.8 + 2.0 + 1.8 + 0.04) / 3)
    assert (found.core, found.population) == (1, "b")


def test_what_a_core_is_busy_with():
    placement = two_layers(1000, 10)
    assert step_time(placement, activity([[100, 0]]), CONSTANTS).term == "neuron updates"
    assert step_time(placement, activity([[100, 0]], [[5000, 0]]), CONSTANTS).term == "messages"
    assert step_time(placement, activity([[9000, 0]]), CONSTANTS).term == "synaptic operations"


def test_the_high_end_adds_what_the_others_take_the_largest_of():
    placement = two_layers(100, 100)
    found = step_time(placement, activity([[10_000, 0]], [[1000, 0]]), CONSTANTS)
    assert found.mean.high == pytest.approx(1.8 + 10.7 + 4.8 + 3.0)
    assert found.mean.low == pytest.approx(1.16 + 3.7)


def test_neurons_cost_what_their_kind_does():
    wired, microcode = (CONSTANTS[name].range for name in ("t_neuron", "t_microcode"))
    kinds = {
        True: Cuba("a", (1,), vth_mant=1),
        False: Resonator("a", (1,), vth=1, sin_decay=1, cos_decay=1),
        None: Cuba("a", (1,), vth_mant=1, reset=Reset(4, 0)),
    }
    assert {known: p.hard_wired for known, p in kinds.items()} == {known: known for known in kinds}
    assert Sigma("a", (1,)).hard_wired is None
    assert neuron_cost(True, CONSTANTS) == wired
    assert neuron_cost(False, CONSTANTS) == microcode
    assert neuron_cost(None, CONSTANTS) == Range(wired.low, wired.nominal, microcode.high)


def test_several_chips_meet_later():
    assert sync_time(1, CONSTANTS).high < sync_time(2, CONSTANTS).high == 5.4


def test_cores_are_found_by_number():
    placement = two_layers(3168, 100)
    assert [layer.cores for layer in placement.layers] == [1, 7]
    assert [population_on(placement, core) for core in (0, 1, 7)] == ["a", "b", "b"]
