import numpy as np
import pytest

from pumice.backends.fast.bounds import activation_types, largest_sum
from pumice.backends.fast.matrix import Matrix, exact_float
from pumice.ir import Accumulator, Conv, Cuba, Dense, Graph, Input, OneToOne, Sigma, Sparse, TokenMixing

SYNAPSES = {
    "dense": (Dense("a", "b", weight=np.array([[3, -4], [1, 2]]), weight_exp=1), 14),
    "conv": (Conv("a", "b", weight=np.array([[[[2], [-5]]], [[[1], [1]]]])), 7),
    "sparse": (
        Sparse("a", "b", rows=np.array([0, 0, 1]), columns=np.array([0, 1, 1]), values=np.array([3, -3, 5])),
        6,
    ),
    "nothing": (Sparse("a", "b", rows=np.zeros(0, int), columns=np.zeros(0, int), values=np.zeros(0, int)), 0),
    "one to one": (OneToOne("a", "b", weight=np.array([3, -9]), weight_exp=2), 36),
    "token mixing": (TokenMixing("a", "b", weight=np.array([[[1, -2], [0, 1]], [[4, 4], [0, 0]]])), 8),
}


@pytest.mark.parametrize("name", SYNAPSES)
def test_largest_sum(name):
    synapse, expected = SYNAPSES[name]
    assert largest_sum(synapse, 1) == expected
    assert largest_sum(synapse, 10) == 10 * expected


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
