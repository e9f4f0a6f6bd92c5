"""The random cases are valid, repeatable, and between them have everything."""

import numpy as np
import pytest
from hypothesis import given, settings

from pumice.backends import run
from pumice.ir import Conv, Dense, Direct, verify_graph
from pumice.testing import cases, example, graphs


@settings(max_examples=30, derandomize=True, deadline=None)
@given(cases(n_populations=4, n_steps=5))
def test_cases_run_on_the_reference(case):
    graph, x = case
    assert len(graph.populations) == 4
    assert run(graph, x).spikes.shape == (5, *graph.output.shape)


def test_same_seed_same_case():
    (first, x), (second, y) = example(cases(), 7), example(cases(), 7)
    np.testing.assert_array_equal(x, y)
    for a, b in zip(first.synapses, second.synapses, strict=True):
        assert (a.source, a.target, type(a)) == (b.source, b.target, type(b))


def test_all_features_occur():
    drawn = [example(graphs(), seed) for seed in range(40)]
    synapses = [s for graph in drawn for s in graph.synapses]
    populations = [p for graph in drawn for p in graph.populations]
    convs = [s for s in synapses if isinstance(s, Conv)]
    dense = [s for s in synapses if isinstance(s, Dense)]
    for feature in (
        (s.is_recurrent for s in dense),
        (np.ndim(s.delay_steps) == 2 for s in dense),
        (np.ndim(s.delay_steps) == 1 for s in dense),
        (s.weight_exp > 0 for s in dense),
        (s.weight.min() == -256 for s in dense),
        (s.weight.max() == 255 for s in dense),
        (s.max_delay_steps > 0 for s in convs),
        (s.groups > 1 for s in convs),
        (s.stride != (1, 1) for s in convs),
        (s.dilation != (1, 1) for s in convs),
        (s.padding[0] != s.padding[1] for s in convs),
        (s.graded for s in synapses),
        (isinstance(s, Direct) and s.graded for s in synapses),
        (p.reset is not None for p in populations),
        (np.ndim(p.v_decay_q12) > 0 for p in populations),
        (np.ndim(p.bias_mant) > 0 for p in populations),
        (p.vth_mant >= 2**16 for p in populations),
        (len(list(graph.into(p.name))) > 1 for graph in drawn for p in graph.populations),
    ):
        assert any(feature)


@pytest.mark.parametrize("seed", range(3))
def test_graphs_are_valid(seed):
    graph = example(graphs(8, longest_delay=62), seed)
    assert verify_graph(graph) is graph
