import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pumice.fixedpoint import stored_bits, weight_form


@pytest.mark.parametrize(
    ("weight", "mode", "exponent"),
    [
        ([-256, 254], "MIXED", 0),
        ([-256, -2], "MIXED", 0),
        ([0, 255], "EXCITATORY", 0),
        ([-255, -1], "INHIBITORY", 0),
        ([-127, 3], "MIXED", -1),
        ([], "MIXED", 0),
    ],
)
def test_every_weight_keeps_its_value(weight, mode, exponent):
    form = weight_form(np.array(weight, int))
    assert (form.sign_mode.name, form.weight_exp) == (mode, exponent)
    assert_array_equal(form.stored * 2.0**form.weight_exp, weight)


@pytest.mark.parametrize("weight", [[-1, 255], [-300, 2], [256, 2]])
def test_what_8_bits_cannot_hold_has_no_form(weight):
    assert weight_form(np.array(weight)) is None


@pytest.mark.parametrize(
    ("weight", "bits"),
    [([0, 0], 1), ([1, 1], 1), ([36], 4), ([32], 1), ([-1, 1], 2), ([-2, 1], 2), ([-128, 127], 8), ([-256, 254], 8),
     ([-255, -1], 8), ([255, 0], 8), ([-96, 32], 3), ([], 1), ([-3, 254], 9), ([-8], 1), ([-4, 2], 2), ([-4, 6], 3)],
    ids=str,
)  # fmt: skip
def test_bits_in_memory(weight, bits):
    assert stored_bits(np.array(weight, int)) == bits


def test_bits_in_memory_are_the_fewest_that_hold_the_weights(rng):
    for _ in range(300):
        low, high = sorted(rng.integers(-256, 256, 2))
        weight = rng.integers(low, high + 1, 5) << rng.integers(0, 4)
        unit = np.gcd.reduce(weight) & -np.gcd.reduce(weight) or 1
        small, bits = weight // unit, stored_bits(weight)
        mixed = small.min() < 0 < small.max()

        def holds(n, small=small, mixed=mixed):
            if mixed:
                return -(1 << (n - 1)) <= small.min() and small.max() < 1 << (n - 1)
            return np.abs(small).max() < 1 << n

        assert holds(bits)
        assert bits == 1 or not holds(bits - 1)
