import numpy as np
import pytest

from pumice.quantization.scale import choose_vth_mant


def choose(weight, bias=0.0, max_input=1, **options):
    weight = np.atleast_2d(np.asarray(weight, float))
    return choose_vth_mant([weight], np.atleast_1d(bias), max_inputs=[max_input], **{"threshold": 1.0, **options})


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        (254, {"weight": [1.0, -0.5]}),  # 8-bit weights
        (409, {"weight": [0.001], "bias": 10.0}),  # 13-bit bias
        (2**17 - 1, {"weight": [0.0]}),  # 17-bit threshold
        (2**17 - 1, {"weight": [1e-6]}),
        (127, {"weight": [1.0], "threshold": 0.5}),
    ],
)
def test_the_first_format_that_is_full_decides(expected, arguments):
    assert choose(**arguments) == expected


def test_the_current_never_wraps():
    weight = np.full((1, 600), 1.0)
    vth_mant = choose(weight)
    assert vth_mant < 254
    assert (vth_mant + 1) * 600 * 64 < 2**23  # even with every weight rounded up by 1


def test_a_current_that_remembers_gets_less():
    weight = np.full((1, 600), 1.0)
    assert choose(weight, i_decay_q12=1024) < choose(weight) / 2


def test_what_cannot_be_represented_is_below_one():
    assert choose([1000.0], threshold=0.001) < 1


def test_sums_of_several_synapses_share_the_current_and_concatenations_do_not():
    synapses = [np.full((1, 400), 1.0)] * 2
    options = {"threshold": 1.0, "max_inputs": [1, 1]}
    assert choose_vth_mant(synapses, np.zeros(1), **options) < choose_vth_mant(
        synapses, np.zeros(1), concat=True, **options
    )
