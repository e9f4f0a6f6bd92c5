from itertools import pairwise

import numpy as np

from pumice.backends.fast.schedule import loops, stages
from pumice.ir import Cuba, Dense, Graph, Input


def graph(names, pairs):
    return Graph(
        Input("in", (1,)),
        tuple(Cuba(name, (1,), vth_mant=1) for name in names),
        tuple(Dense(source, target, weight=np.ones((1, 1), int)) for source, target in pairs),
        outputs=(names[-1],),
    )


def test_what_loops_stays_together():
    g = graph(
        "abcdef", [("in", "a"), ("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("d", "d"), ("d", "e"), ("e", "f")]
    )
    found = stages(g)
    assert found == [("a",), ("b", "c"), ("d",), ("e",), ("f",)]
    assert [loops(g, stage) for stage in found] == [False, True, True, False, False]


def test_nested_loops_are_one():
    g = graph("abc", [("in", "a"), ("a", "b"), ("b", "a"), ("b", "c"), ("c", "a")])
    assert stages(g) == [("a", "b", "c")]


def test_sources_come_first_whatever_the_order():
    g = graph("abc", [("in", "c"), ("c", "b"), ("b", "a")])
    assert stages(g) == [("c",), ("b",), ("a",)]


def test_deep_graphs_need_no_recursion():
    names = [f"p{i}" for i in range(3000)]
    pairs = [("in", "p0"), *pairwise(names)]
    assert stages(graph(names, pairs)) == [(name,) for name in names]
