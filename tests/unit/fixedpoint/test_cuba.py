import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pumice.fixedpoint import CubaState, cuba_step, decay
from pumice.fixedpoint.cuba import effective_bias


def rest(n=1):
    return CubaState(np.zeros(n, np.int32), np.zeros(n, np.int32))


def test_negative_states_decay_toward_zero():
    # -3 * 4095 / 4096 = -2.999...: toward zero gives -2, an arithmetic shift would give -3
    assert_array_equal(decay([-3, 3], 1), [-2, 2])


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ((0.4, 0.4, 0.4, 0.9, 0.1, 0.6), [0, 0, 1, 1, 0, 1]),
        ((0.375, 0.40625, 0.375 + 1 / 4096), [0, 0, 1]),
    ],
)
def test_tdbn_neuron_of_the_paper(inputs, expected):
    """Oracle 3c: tau .25, V_th .5. At step 1, u is .5: on the grid 2047 / 4096, of the second input exactly."""
    state, fired = rest(), []
    for x in inputs:
        spikes, state = cuba_step(
            state,
            [0],
            i_decay_q12=4096,
            v_decay_q12=3072,
            vth_mant=32,
            bias=np.trunc(4096 * np.float32(x)).astype(int),
        )
        fired.append(int(spikes[0]))
    assert fired == expected


def test_exactly_at_threshold_does_not_fire():
    spikes, state = cuba_step(rest(2), [7, 8], i_decay_q12=4096, v_decay_q12=0, vth_mant=7)
    assert_array_equal(spikes, [False, True])
    assert_array_equal(state.v, [7 * 64, 0])


def test_current_remembers_across_a_spike_and_voltage_does_not():
    spikes, state = cuba_step(rest(), [100], i_decay_q12=2048, v_decay_q12=0, vth_mant=10)
    assert (spikes[0], state.u[0], state.v[0]) == (True, 6400, 0)
    _, state = cuba_step(state, [0], i_decay_q12=2048, v_decay_q12=0, vth_mant=1000)
    assert (state.u[0], state.v[0]) == (3200, 3200)


def test_saturation_wraps_the_current_and_clips_the_voltage():
    _, state = cuba_step(rest(2), [2**17 + 1, -(2**17)], i_decay_q12=0, v_decay_q12=0, vth_mant=2**17)
    assert_array_equal(state.u, [-(2**23) + 64, 2**23])
    assert_array_equal(state.v, [-(2**23) + 64, 2**23 - 1])


def test_bias_is_shifted_by_its_exponent():
    assert_array_equal(effective_bias([-3, 5], 6), [-192, 320])
