"""Integers of a graph are what they are, in whatever type the caller had them."""

from dataclasses import fields, replace

import numpy as np
import pytest

from pumice.backends import get_backend
from pumice.errors import GraphError
from pumice.ir import Cuba, Dense, Graph, Input, OneToOne, Reset, Timing, verify_graph
from pumice.ir.integers import as_plain
from pumice.testing.battery import GROUPS, packed


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int8(-128), -128),
        (np.bool_(True), True),
        (np.array(3, np.uint8), 3),
        ([np.int8(3), 4], (3, 4)),
        ((), ()),
        (None, None),
        ("real", "real"),
        (1.5, 1.5),
    ],
)
def test_numbers_and_tuples(value, expected):
    plain = as_plain(value)
    assert plain == expected
    assert type(plain) is type(expected)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint32, np.uint64, ">i4"])
def test_arrays_become_int64_and_keep_their_values(dtype):
    plain = as_plain(np.array([3, 100], dtype))
    assert (plain.dtype, plain.tolist()) == (np.dtype(np.int64), [3, 100])


def test_an_array_that_is_int64_is_not_copied():
    array = np.arange(4)
    assert as_plain(array) is array


@pytest.mark.parametrize("value", [np.ones(2), np.array([2**63], np.uint64), np.array([True])])
def test_what_is_no_integer_is_left_for_the_check_of_the_graph(value):
    assert as_plain(value) is value
    graph = Graph(Input("in", (1,)), (Cuba("a", (1,), 1),), (OneToOne("in", "a", weight=value[:1]),), ("a",))
    with pytest.raises(GraphError, match="weight must"):
        verify_graph(graph)


def narrow(part):
    """With every array in the smallest type that holds it."""

    def smallest(array):
        low, high = int(array.min(initial=0)), int(array.max(initial=0))
        return array.astype(np.promote_types(np.min_scalar_type(low), np.min_scalar_type(high)))

    values = {f.name: getattr(part, f.name) for f in fields(part)}
    return replace(part, **{n: smallest(v) for n, v in values.items() if isinstance(v, np.ndarray)})


@pytest.mark.parametrize("group", GROUPS)
def test_no_part_of_a_graph_keeps_a_narrow_type(group):
    graph = packed(GROUPS[group][0]())
    for part in map(narrow, (*graph.populations, *graph.synapses)):
        for f in fields(part):
            value = getattr(part, f.name)
            assert not isinstance(value, np.generic)
            assert not isinstance(value, np.ndarray) or value.dtype == np.int64


def test_ranges_and_times_of_narrow_types_do_not_overflow():
    x = np.array([-128, 127], np.int8)
    assert max(map(abs, Input("in", (1,), (x.min(), x.max())).value_range)) == 128
    steps = Timing(np.uint8(200), np.uint8(200)).sample_steps
    assert type(steps) is int
    assert steps + 100 == 300
    assert Reset(np.int8(100), np.int8(100)).offset * 2 == 200


@pytest.mark.lava
def test_every_backend_computes_the_same_from_narrow_types():
    """For Lava 1 is subtracted from the decay, which made 255 of an 8-bit 0."""
    weight = np.array([[100, 120, -128], [126, 64, 2]], np.int8)
    delays = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    cells = Cuba("a", (2,), vth_mant=2**16, i_decay_q12=np.array([0, 200], np.uint8))
    into = Dense("in", "a", graded=True, weight=weight, weight_exp=np.int8(7), delay_steps=delays)
    graph = Graph(Input("in", (3,)), (cells,), (into,), ("a",))
    x = np.random.default_rng(0).integers(-100, 100, (9, 3))
    expected = get_backend("reference").run(graph, x, record=True).records["a"]
    assert np.abs(expected.u).max() > 2**20
    for name in ("fast", "lava-in-threads"):
        assert get_backend(name).run(graph, x, record=True).records["a"].digest() == expected.digest()
