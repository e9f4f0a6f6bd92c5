import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pumice.fixedpoint import weight_form


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
