import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pumice.backends.fast.frames import words
from pumice.backends.fast.kernels.cuba import BLOCK, cuba_steps
from pumice.backends.fast.kernels.events import find_active, find_rarer, gather_delayed
from pumice.fixedpoint import CubaState, cuba_step

int32s = st.integers(-(2**31), 2**31 - 1)


def steps(activation, u, v, keep_u, keep_v, *, bias, vth):
    n = np.size(u)
    state = (np.full((1, n), u, np.int32), np.full((1, n), v, np.int32))
    sent = np.zeros((1, 1, n), np.int8)
    parameters = (np.full(n, keep_u, np.uint32), np.full(n, keep_v, np.uint32), np.full(n, bias, np.int32))
    cuba_steps(
        np.full((1, 1, n), activation, np.int32),
        sent,
        state,
        parameters,
        np.int32(vth << 6),
        np.zeros(1, bool),
        None,
    )
    return sent[0, 0].astype(bool), state[0][0], state[1][0]


@settings(deadline=None)  # compiles at first
@given(
    activation=int32s,
    u=int32s,
    v=st.integers(1 - 2**23, 2**23 - 1),
    i_decay=st.integers(0, 4096),
    v_decay=st.integers(0, 4096),
    bias=st.integers(-(2**22), 2**22),
    vth=st.integers(0, 2**17 - 1),
)
def test_one_neuron(*, activation, u, v, i_decay, v_decay, bias, vth):
    """Equal to the definition for every 32-bit current and activation, not just those that occur."""
    spikes, after = cuba_step(
        CubaState(np.array([u], np.int32), np.array([v], np.int32)),
        [activation],
        i_decay_q12=i_decay,
        v_decay_q12=v_decay,
        vth_mant=vth,
        bias=bias,
    )
    got = steps(activation, u, v, 4096 - i_decay, 4096 - v_decay, bias=bias, vth=vth)
    assert (spikes[0], after.u[0], after.v[0]) == tuple(value[0] for value in got)


def test_every_decay_of_the_extremes():
    u = np.array([-(2**31), -(2**31) + 1, -(2**23), -4097, -4096, -1, 0, 1, 4095, 2**23, 2**31 - 1], np.int32)
    for decay in range(0, 4097, 7):
        state = CubaState(u, np.zeros_like(u))
        _, after = cuba_step(state, np.zeros_like(u), i_decay_q12=decay, v_decay_q12=4096, vth_mant=2**17)
        np.testing.assert_array_equal(steps(0, u, 0, 4096 - decay, 0, bias=0, vth=2**17)[1], after.u)


def test_blocks_do_not_mix():
    """More neurons than a block, each with its own state."""
    n = 2 * BLOCK + 3
    u = np.arange(n, dtype=np.int32) - BLOCK
    np.testing.assert_array_equal(steps(0, u, 0, 4096, 4096, bias=0, vth=2**17)[2], u)


def test_events_are_found():
    for n in (1, 7, 8, 9, 33):
        frame = np.zeros((1, 1, -(-n // 8) * 8), np.int8)
        frame[0, 0, [0, n - 1]] = 1
        found = np.zeros(frame.size, np.int32)
        assert find_active(frame[0, 0], words(frame)[0], found) == len({0, n - 1})
        assert {*found[: len({0, n - 1})]} == {0, n - 1}


def test_the_rarer_are_listed():
    frame = np.zeros((1, 1, 8), np.int8)
    frame[0, 0, :4] = 1
    full, total, found = np.array([10, 20]), np.zeros(2, int), np.zeros(8, np.int32)
    assert find_rarer(frame[0, 0], words(frame)[0], 5, full, total, found) == (1, True)  # of five, one is silent
    assert found[0] == 4
    assert total.tolist() == [10, 20]
    assert find_rarer(frame[0, 0], words(frame)[0], 8, full, total, found) == (4, False)  # just half
    assert find_rarer(frame[0, 0], words(frame)[0], 5, full[:0], total, found) == (4, False)
    assert total.tolist() == [10, 20]


def test_each_neuron_its_own_delay():
    sent = np.arange(5 * 2 * 3).reshape(5, 2, 3)
    arriving = np.zeros((2, 2, 3), int)
    gather_delayed(sent, np.array([0, 1, 3]), arriving)
    for t in range(2):
        np.testing.assert_array_equal(
            arriving[t], np.stack([sent[t + 3, :, 0], sent[t + 2, :, 1], sent[t, :, 2]], -1)
        )
