"""Rewritten kernels are the same convolution."""

import numpy as np
import pytest

from pumice.backends.lava.kernels import masked, regrouped
from pumice.fixedpoint import conv_accumulate

RNG = np.random.default_rng(0)
X = RNG.integers(-9, 9, (4, 3, 8))


@pytest.mark.parametrize(("groups", "at_most", "fewer"), [(4, 1, 1), (4, 3, 2), (8, 5, 4), (4, 4, 4), (2, 127, 2)])
def test_regrouped(groups, at_most, fewer):
    weight = RNG.integers(-9, 9, (16, 2, 1, 8 // groups))
    kernel, found = regrouped(weight, groups, at_most)
    assert (found, kernel.shape) == (fewer, (16, 2, 1, 8 // fewer))
    np.testing.assert_array_equal(conv_accumulate(kernel, X, groups=fewer), conv_accumulate(weight, X, groups=groups))


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_masked(groups):
    weight = RNG.integers(-9, 9, (16, 2, 1, 8 // groups))
    kept = np.array([True, False, True, True, False, False, True, False])
    expected = conv_accumulate(weight, X * kept, groups=groups)
    np.testing.assert_array_equal(conv_accumulate(masked(weight, groups, kept), X, groups=groups), expected)
    assert masked(weight, groups, np.ones(8, bool)) is weight
