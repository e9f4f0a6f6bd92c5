from dataclasses import replace

import numpy as np
import pytest

from pumice.backends.fast.bounds import activation_types, largest_sum, largest_value
from pumice.backends.fast.matrix import Matrix, exact_float
from pumice.ir import Accumulator, Conv, Cuba, Dense, Graph, Input, Sigma


def test_largest_sum():
    """The largest sum of sizes into one neuron, shifted, times the largest value."""
    dense = Dense("input", "a", True, weight=np.array([[3, -4], [1, 2]]), weight_exp=1)
    for value_range, expected in [((0, 1), 14), ((-5, 3), 70), (None, 14 * 2**23)]:
        graph = Graph(Input("input", (2,), value_range), (Cuba("a", (2,), vth_mant=1),), (dense,), outputs=("a",))
        assert largest_sum(graph, dense) == expected
    assert largest_sum(graph, replace(dense, graded=False)) == 14


def test_largest_value():
    conv = Conv("input", "b", graded=True, weight=np.full((1, 2, 1, 1), -3))
    populations = (Sigma("a", (2, 2, 1)), Cuba("b", (1, 2, 1), 5))
    graph = Graph(Input("input", (2, 2, 1)), populations, (conv,), ("b",))
    assert largest_value(graph, conv) == 2**23
    assert largest_value(graph, replace(conv, graded=False)) == 1
    assert largest_value(graph, replace(conv, source="a")) == 2**31
    assert largest_value(graph, replace(conv, source="b")) == 1
    ranged = graph.replace(input=Input("input", (2, 2, 1), (-9, 4)))
    assert largest_value(ranged, conv) == 9


def test_floats_hold_what_they_promise():
    """One more than 2^24, and float32 is off by one; at 2^24 it is exact, in any order."""
    assert exact_float(2**24) is np.float32
    assert np.float32(2**24) + np.float32(1) == 2**24
    assert exact_float(2**24 + 1) is np.float64
    assert exact_float(2**53) is np.float64
    assert exact_float(2**53 + 1) is None
    ones = np.ones((1, 2**16), np.int32)
    matrix = Matrix.of(np.full((2**16, 1), 255, np.int32), 255 * 2**16)
    assert matrix is not None
    assert matrix.product(ones)[0, 0] == 255 * 2**16


def test_products_that_wrap_are_left_to_the_events():
    assert Matrix.of(np.ones((1, 1), np.int32), 2**31) is None


def graph_with(population, weight, value_range, *, graded):
    dense = Dense("input", "a", graded, weight=np.full((1, 4), weight))
    return Graph(Input("input", (4,), value_range), (population,), (dense,), outputs=("a",))


@pytest.mark.parametrize(
    ("population", "weight", "value_range", "graded", "expected"),
    [
        (Cuba("a", (1,), vth_mant=1), 255, None, False, np.int16),
        (Accumulator("a", (1,)), 255, (-32, 16), True, np.int16),
        (Cuba("a", (1,), vth_mant=1), 255, (-33, 16), True, np.int32),
        (Cuba("a", (1,), vth_mant=1), 255, None, True, np.int32),
        (Sigma("a", (1,)), 1, None, False, np.int32),
    ],
)
def test_activation_types(population, weight, value_range, graded, expected):
    """Four inputs: 4 * 255 * 32 = 32,640 fits 16 bits, 4 * 255 * 33 does not."""
    assert activation_types(graph_with(population, weight, value_range, graded=graded)) == {"a": expected}
