import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pumice.fixedpoint import clip24, shift_toward_zero, to_int32, wrap24_accumulator, wrap24_once


@pytest.mark.parametrize(("x", "expected"), [(-4097, -1), (-4096, -1), (-4095, 0), (4095, 0), (4097, 1)])
def test_shift_drops_the_fraction_toward_zero_on_both_sides(x, expected):
    assert shift_toward_zero(x, 12) == expected


def test_current_wraps_once_past_24_bits():
    x = [2**23 - 1, 2**23, 2**23 + 1, -(2**23) + 1, -(2**23), -(2**23) - 5]
    assert_array_equal(wrap24_once(x), [2**23 - 1, 2**23, -(2**23) + 1, -(2**23) + 1, 2**23, 2**23 - 5])


def test_accumulator_wraps_as_often_as_needed():
    assert_array_equal(wrap24_accumulator([5 * 2**24 + 3, -(5 * 2**24) - 3]), [3, -3])


def test_voltage_clips_symmetrically():
    assert_array_equal(clip24([2**23, -(2**23)]), [2**23 - 1, -(2**23) + 1])


def test_int32_keeps_the_low_bits():
    assert to_int32(2**31) == -(2**31)
    assert to_int32([1]).dtype == np.int32
