from dataclasses import replace

import numpy as np
import pytest

from pumice.backends import run
from pumice.ir import Conv, Cuba, Dense, Direct, Graph, Input, Reset, Timing
from pumice.ir.builder import chain
from pumice.passes.check_ranges import check_ranges, current_bounds


def large_chain(n, **neuron):
    graph = chain((n,), [2], seed=0)
    synapse = replace(graph.synapses[0], weight=np.full((2, n), 254))
    population = replace(graph.output, **{"i_decay_q12": 4096, "v_decay_q12": 4096, **neuron})
    return graph.replace(synapses=(synapse,), populations=(population,), timing=Timing(16, 16))


def test_a_wrap_is_predicted_exactly_where_it_can_happen():
    safe, wrapping = large_chain(516), large_chain(517)
    assert check_ranges(safe) == []
    assert "dense0: the current u could reach" in check_ranges(wrapping)[0]
    u = [run(g, np.ones((2, g.input.size), int), record=True).records["dense0"].u[1, 0] for g in (safe, wrapping)]
    assert u[0] > 0 > u[1]


def test_a_clip_is_predicted_from_memory_and_bias():
    assert check_ranges(large_chain(50)) == []
    assert check_ranges(large_chain(50, v_decay_q12=0, bias_mant=4095, bias_exp=7)) == []  # spikes cut it off
    (line,) = check_ranges(large_chain(50, v_decay_q12=0, bias_mant=-4096, bias_exp=7))
    assert "voltage v could reach" in line


def test_graded_input_counts_with_its_range():
    graph = large_chain(10)
    graph = graph.replace(synapses=(replace(graph.synapses[0], graded=True),))
    assert check_ranges(graph.replace(input=Input("input", (10,), (0, 51)))) == []
    assert check_ranges(graph.replace(input=Input("input", (10,), (0, 52))))
    assert check_ranges(graph)  # nothing promised: the worst


def test_every_kind_has_a_bound():
    conv = Conv("input", "n", weight=np.full((1, 3, 3, 60), 254))
    graph = Graph(Input("input", (3, 3, 60)), (Cuba("n", (1, 1, 1), vth_mant=1),), (conv,), outputs=("n",))
    assert check_ranges(graph)
    direct = Graph(Input("input", (3,)), (Cuba("n", (3,), vth_mant=1),), (Direct("input", "n"),), outputs=("n",))
    assert check_ranges(direct) == []


def clock_into(weight, delays, **clock):
    """A clock of three neurons that fire every 4 steps (or as `clock` says) into one neuron."""
    source = Cuba("clock", (3,), **{"vth_mant": 3, "bias_mant": 1, "reset": Reset(8, 1), **clock})
    target = Cuba("n", (1,), vth_mant=2**16)
    synapses = (
        Dense("input", "n", weight=np.array([[2]])),
        Dense("clock", "n", weight=np.array([weight]), delay_steps=np.array(delays)),
    )
    return Graph(Input("input", (1,)), (source, target), synapses, outputs=("n",))


@pytest.mark.parametrize(
    ("weight", "delays", "clock", "expected"),
    [
        ([10, 20, 40], [0, 0, 0], {}, (0, 70)),
        ([10, 20, 40], [0, 1, 2], {}, (0, 40)),  # never together
        ([10, 20, 40], [0, 4, 1], {}, (0, 40)),  # the first two meet, a period apart
        ([10, 20, 16], [0, 4, 1], {}, (0, 30)),
        ([-10, 20, -16], [0, 4, 4], {}, (-10, 0)),  # at first alone, then with the others
        ([10, 20, 40], [0, 0, 0], {"bias_mant": np.array([1, 2, 1])}, (0, 70)),  # one fires twice as often
        ([10, 20, 40], [0, 0, 0], {"reset": None}, (0, 70)),
        ([10, 20, 40], [0, 1, 2], {"reset": None}, (0, 70)),  # nothing is known of it
    ],
)
def test_spikes_of_clocks_meet_where_they_do(weight, delays, clock, expected):
    graph = clock_into(weight, delays, **clock)
    low, high = current_bounds(graph, "n")
    assert (low[0], high[0] - 2) == expected  # the input adds at most 2
    u = run(graph, np.zeros((60, 1), int), record=True).records["n"].u // 64
    if clock.get("reset", 1) is not None:
        assert (min(u.min(), 0), u.max()) == expected
    assert low[0] <= u.min()
    assert u.max() <= high[0]
