import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pumice.backends.fast.frames import events
from pumice.backends.fast.kernels.cuba import BLOCK, cuba_steps
from pumice.backends.fast.kernels.events import find_active, find_silent, gather_delayed
from pumice.backends.fast.kernels.products import add_runs
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


def test_the_parameter_of_a_current_that_keeps_nothing_is_left_out():
    """Spikes and voltages are the same; the current is written if it is recorded."""
    for records in (False, True):
        given = []
        for keep_u in (np.zeros(9, np.uint32), None):
            states = (np.zeros((1, 9), np.int32), np.arange(9, dtype=np.int32)[None] * 90)
            sent, traces = np.zeros((2, 1, 9), np.int8), tuple(np.zeros((2, 1, 9), np.int32) for _ in range(2))
            parameters = (keep_u, np.full(9, 2048, np.uint32), np.full(9, 3, np.int32))
            activation = np.arange(18, dtype=np.int16).reshape(2, 1, 9) - 4
            recorded = traces if records else None
            cuba_steps(activation, sent, states, parameters, np.int32(300), np.zeros(2, bool), recorded)
            given.append((sent, states[1], *traces))
        for one, other in zip(*given, strict=True):
            np.testing.assert_array_equal(one, other)


def test_events_are_found():
    for n in (1, 7, 8, 9, 33):
        frames = np.zeros((2, -(-n // 8) * 8), np.int8)
        frames[0, 0] = frames[1, [0, n - 1]] = 1
        sends, words, _, found = events(frames)
        n_words = frames.shape[1] // 8
        assert find_active(sends, words, n_words, 2 * n_words, found) == len({0, n - 1})
        assert {*found[: len({0, n - 1})]} == {0, n - 1}
        assert find_silent(sends, frames.shape[1], n, found) == n - len({0, n - 1})
        assert {*found[: n - len({0, n - 1})]} == {*range(n)} - {0, n - 1}


def test_events_of_values():
    sends, words, values, _ = events(np.array([[0, -5, 0, 256, 0, 0, 0, 0]], np.int32))
    assert sends.tolist() == [0, 1, 0, 1, 0, 0, 0, 0]
    assert words.tobytes() == sends.tobytes()
    assert values[3] == 256


def test_the_rarer_are_added_or_subtracted():
    """With a `full` that is not the sum of all weights, one sees which way a frame went."""
    frames = np.zeros((1, 8), np.int8)
    frames[0, :4] = 1
    weight, one_run = np.arange(1, 17), tuple(np.array(a, np.uint32) for a in ([0, 1], [0], [0], [2]))
    for n_source, size, expected in ((5, 2, [1000 - 9, 2000 - 10]), (8, 2, [16, 20]), (5, 0, [16, 20])):
        total, sizes = np.zeros(2, int), np.array([8, 2, n_source, n_source, 0], np.uint64)
        add_runs(*events(frames), weight[: 2 * n_source], one_run, np.array([1000, 2000])[:size], sizes, total)
        assert total.tolist() == expected


def test_each_neuron_its_own_delay():
    sent = np.arange(5 * 2 * 3).reshape(5, 2, 3)
    arriving = np.zeros((2, 2, 3), int)
    gather_delayed(sent, np.array([0, 1, 3]), arriving)
    for t in range(2):
        np.testing.assert_array_equal(
            arriving[t], np.stack([sent[t + 3, :, 0], sent[t + 2, :, 1], sent[t, :, 2]], -1)
        )
