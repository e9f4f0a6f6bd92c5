"""Each kind of population becomes Lava's process with these integers in its variables."""

import numpy as np
import pytest
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.rf.process import RF
from lava.proc.rf_iz.process import RF_IZ
from lava.proc.sdn.process import ActivationMode, Delta, Sigma, SigmaDelta

from pumice import ir
from pumice.backends.lava.neurons import current_port, neuron_process
from pumice.errors import BackendError
from pumice.ir import Cuba, Reset


def test_plain_population_is_a_lif():
    process = neuron_process(Cuba("hidden", (3,), 100, i_decay_q12=4096, v_decay_q12=7, bias_mant=2, bias_exp=6))
    assert type(process) is LIF
    assert process.name == "hidden"
    assert (process.du.init, process.dv.init, process.vth.init) == (4095, 7, 100)
    np.testing.assert_array_equal(process.bias_mant.init, [2, 2, 2])


def test_reset_population_is_a_lif_reset():
    process = neuron_process(Cuba("hidden", (3,), 100, reset=Reset(8, 3)))
    assert type(process) is LIFReset
    assert (process.proc_params["reset_interval"], process.proc_params["reset_offset"]) == (8, 3)


def test_arrays_stay_arrays():
    process = neuron_process(Cuba("hidden", (2, 2, 3), 100, i_decay_q12=np.array([1, 2, 4096])))
    np.testing.assert_array_equal(process.du.init, [0, 1, 4095])


@pytest.mark.parametrize(("reset", "kind"), [(None, LIF), (Reset(8, 3), LIFReset)])
def test_an_accumulator_cannot_fire(reset, kind):
    process = neuron_process(ir.Accumulator("read", (3,), v_decay_q12=9, reset=reset))
    assert type(process) is kind
    assert process.vth.init << 6 == 2**23
    assert process.dv.init == 9


def test_thresholds_and_biases_of_changes_are_not_scaled_again():
    delta = neuron_process(ir.Delta("d", (2,), vth=300, spike_exp=2, state_exp=3, cum_error=True))
    both = neuron_process(ir.SigmaDelta("sd", (2,), vth=301, bias=np.array([5, -6]), relu=False))
    assert (type(delta), type(both)) == (Delta, SigmaDelta)
    assert (delta.vth.init, delta.spike_exp.init, delta.state_exp.init, delta.cum_error.init) == (300, 2, 3, True)
    assert (both.vth.init, both.proc_params["act_mode"]) == (301, ActivationMode.UNIT)
    np.testing.assert_array_equal(both.bias.init, [5, -6])
    assert type(neuron_process(ir.Sigma("s", (2,)))) is Sigma


@pytest.mark.parametrize(("izhikevich", "kind"), [(False, RF), (True, RF_IZ)])
def test_decays_of_a_resonator_are_taken_as_they_are(izhikevich, kind):
    sin = np.array([-3, 4095])
    process = neuron_process(ir.Resonator("r", (2,), 77, sin, -2049, izhikevich=izhikevich))
    assert type(process) is kind
    np.testing.assert_array_equal(process.sin_decay.init, sin)
    assert (process.cos_decay.init, process.vth.init) == (-2049, 77)
    assert current_port(process, "imag") is process.a_imag_in
    assert current_port(process, "real") is process.a_real_in


def test_the_states_are_variables_of_that_name():
    for population in (
        Cuba("a", (2,), 1), ir.Accumulator("b", (2,)), ir.Sigma("c", (2,)), ir.Delta("d", (2,), 1),
        ir.SigmaDelta("e", (2,), 1), ir.Resonator("f", (2,), 1, 1, 1),
    ):  # fmt: skip
        process = neuron_process(population)
        assert process.name == population.name
        for state in population.states:
            assert getattr(process, state).shape == (2,)


def test_an_unknown_kind_is_refused():
    class Own(ir.Sigma):
        pass

    with pytest.raises(BackendError, match="population x: unknown kind Own in Lava's processes; known: Cuba"):
        neuron_process(Own("x", (2,)))
