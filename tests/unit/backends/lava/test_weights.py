"""Every weight acts on Lava exactly as the graph says."""

from dataclasses import replace

import numpy as np
import pytest
from lava.utils.weightutils import SignMode, clip_weights, truncate_weights

from pumice.backends.lava.weights import message_bits, stored
from pumice.ir import Conv


def acting(arguments: dict) -> np.ndarray:
    """What Lava's models make of the weights in their first step."""
    mode = arguments["sign_mode"]
    return truncate_weights(clip_weights(arguments["weights"], mode, num_bits=8), mode, arguments["num_weight_bits"])


@pytest.mark.parametrize(
    ("weight", "bits", "weight_exp"),
    [
        ([[-256, 254]], 8, 0),
        ([[0, 255]], 8, 0),
        ([[-255, 0]], 8, 0),
        ([[-256, 0]], 8, 0),
        ([[-3, 101]], 8, -1),
        ([[-255, 255]], 9, 0),
        ([[0, 0]], 8, 0),
    ],
)
def test_weights_act_as_they_are(weight, bits, weight_exp):
    weight = np.array(weight)
    arguments = stored(weight, 0, 1)
    np.testing.assert_array_equal(acting(arguments), weight * 2**-weight_exp)
    assert (arguments["num_weight_bits"], arguments["weight_exp"]) == (bits, weight_exp)
    assert isinstance(arguments["sign_mode"], SignMode)


def test_weights_are_not_doubled_where_the_sum_might_leave_32_bits():
    weight = np.array([[-3, 101]])
    assert stored(weight, 0, 2**30 - 1)["num_weight_bits"] == 8
    assert stored(weight, 0, 2**30)["num_weight_bits"] == 9
    assert stored(weight, 1, 2**40) | {"weights": None} == {
        "weights": None, "weight_exp": 0, "num_weight_bits": 8, "sign_mode": SignMode.MIXED
    }  # fmt: skip


def test_message_bits():
    conv = Conv("input", "b", graded=True, weight=np.full((1, 2, 1, 1), -3))
    assert (message_bits(conv) > 0, message_bits(replace(conv, graded=False))) == (True, 0)
