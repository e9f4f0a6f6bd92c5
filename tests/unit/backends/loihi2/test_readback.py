"""Registers of 24 bits become the numbers that Lava's CPU models have."""

import numpy as np

from pumice.backends.loihi2.readback import as_record, sign_extended
from pumice.fixedpoint.formats import STATE
from pumice.ir import Accumulator, Cuba


def test_the_ends_of_the_range_keep_their_value():
    values = np.array([STATE.low, -1, 0, 1, STATE.high])
    assert (sign_extended(values & 0xFFFFFF) == values).all()
    assert (sign_extended(values) == values).all()
    assert sign_extended(np.array([1 << 23])).tolist() == [-(1 << 23)]


def test_a_neuron_that_fired_reads_128_and_means_0():
    spikes = np.array([[0, 1], [1, 0]])
    read = as_record(
        Cuba("a", (2,), vth_mant=1), spikes, {"u": np.array([[1, 2], [3, 4]]), "v": np.full((2, 2), 128)}
    )
    assert read.v.tolist() == [[128, 0], [0, 128]]
    assert read.u.tolist() == [[1, 2], [3, 4]]


def test_an_accumulator_s_output_is_its_voltage():
    read = as_record(Accumulator("a", (1,)), None, {"u": np.array([[1]]), "v": np.array([[0xFFFFFF]])})
    assert read.s.tolist() == read.v.tolist() == [[-1]]
