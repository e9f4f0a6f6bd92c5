import numpy as np
import pytest

from pumice.data.whole import whole_numbers
from pumice.errors import InputError


@pytest.mark.parametrize("values", [[3, 9], [3.0, 9.0], np.array([3, 9], np.uint64), np.float16([3, 9]), []])
def test_whole_numbers_of_any_type_are_taken(values):
    taken = whole_numbers("x", values, np.int16)
    assert (taken.dtype, taken.tolist()) == (np.int16, list(values))


def test_booleans_are_0_and_1():
    assert whole_numbers("p", [True, False], np.int8).tolist() == [1, 0]


@pytest.mark.parametrize("value", [0.5, -0.5, np.nan, np.inf, -np.inf, 65_536, -65_536, 2.0**62, 1e300])
def test_a_value_that_would_change_is_refused_with_its_place(value):
    with pytest.raises(InputError, match=r"^x: must .*, got .* at index 1"):
        whole_numbers("x", [0, value, value], np.int16)


def test_large_unsigned_numbers_do_not_become_negative():
    with pytest.raises(InputError, match=r"t: must lie in -9223372036854775808\.\.9223372036854775807, got 18446744"):
        whole_numbers("t", np.array([2**64 - 1], np.uint64))


@pytest.mark.parametrize("values", [["1"], [[1, 2]], 3, [1j], np.array(["2024-01-01"], "datetime64[us]"), [None]])
def test_other_types_and_shapes_are_refused(values):
    with pytest.raises(InputError, match=r"x: expected whole numbers of shape \(n,\), got"):
        whole_numbers("x", values)
