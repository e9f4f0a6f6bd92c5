import numpy as np
from numpy.testing import assert_array_equal

from pumice.fixedpoint.resonator import ResonatorState, resonator_step


def state(real, imag):
    return ResonatorState(np.array([real], np.int32), np.array([imag], np.int32))


def test_negative_products_are_rounded_toward_zero():
    _, new = resonator_step(state(-3, 5), [0], [0], sin_decay=0, cos_decay=2048, vth=10**6)
    assert (new.real[0], new.imag[0]) == (-1, 2)


def test_the_plain_form_fires_when_the_phase_passes_zero_and_does_not_reset():
    quarter = {"sin_decay": 4096, "cos_decay": 0, "vth": 50}
    spikes, new = resonator_step(state(0, -100), [0], [0], **quarter)
    assert (spikes[0], new.real[0], new.imag[0]) == (True, 100, 0)
    assert not resonator_step(state(0, -49), [0], [0], **quarter)[0][0]


def test_izhikevichs_form_fires_on_the_imaginary_part_and_resets():
    spikes, new = resonator_step(state(100, 0), [0], [0], sin_decay=4096, cos_decay=0, vth=100, izhikevich=True)
    assert (spikes[0], new.real[0], new.imag[0]) == (True, 0, 99)


def test_states_clip_at_24_bits():
    _, new = resonator_step(state(0, 0), [2**22], [-(2**22)], sin_decay=0, cos_decay=0, vth=1)
    assert_array_equal([new.real[0], new.imag[0]], [2**23 - 1, -(2**23) + 1])
