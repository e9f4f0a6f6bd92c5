from dataclasses import replace

import numpy as np

from pumice.backends import run
from pumice.ir import Conv, Cuba, Direct, Graph, Input, Timing
from pumice.ir.builder import chain
from pumice.passes.check_ranges import check_ranges


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
