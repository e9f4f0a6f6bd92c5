import numpy as np
from numpy.testing import assert_array_equal

from pumice.fixedpoint.sigma_delta import DeltaState, delta_step, sigma_step


def rest(n=1):
    return DeltaState(*(np.zeros(n, np.int32) for _ in range(3)))


def test_sigma_sums_changes_modulo_32_bits():
    assert_array_equal(sigma_step([2**31 - 1, 3], [1, -5]), [-(2**31), -2])


def test_what_was_not_sent_is_kept_until_it_is_large_enough():
    state, sent = rest(), []
    for value in (3, 5, 5, 2, -3):
        out, state = delta_step(state, [value], vth=4)
        sent.append(int(out[0]))
    assert sent == [0, 5, 0, 0, -8]
    assert sum(sent) == -3


def test_cumulative_error_sends_the_change_that_carries_the_sum_over_the_threshold():
    state, sent = rest(), []
    for value in (3, 3, 3, 3):
        out, state = delta_step(state, [value], vth=5, cum_error=True)
        sent.append(int(out[0]))
    # error: 3, 6 (sends the residue 3), 0, 0
    assert sent == [0, 3, 0, 0]
    assert state.error[0] == 0


def test_the_threshold_itself_is_sent():
    assert_array_equal(delta_step(rest(2), [4, -4], vth=4)[0], [4, -4])


def test_a_summed_up_error_outlives_a_message_without_a_magnitude():
    """-2^31 has no magnitude in 32 bits; Lava clears the error where the message's magnitude is positive."""
    state = DeltaState(*np.zeros((3, 2), np.int32))
    sent, after = delta_step(state, np.array([-(2**31), 5 - 2**31]), vth=np.array([-(2**31), 1]), cum_error=True)
    assert sent.tolist() == [-(2**31), 5 - 2**31]
    assert after.error.tolist() == [-(2**31), 0]
