import numpy as np
from lava.proc.lif.process import LIF, LIFReset

from pumice.backends.lava.neurons import lif_process
from pumice.ir import Cuba, Reset


def test_plain_population_is_a_lif():
    process = lif_process(Cuba("hidden", (3,), 100, i_decay_q12=4096, v_decay_q12=7, bias_mant=2, bias_exp=6))
    assert type(process) is LIF
    assert process.name == "hidden"
    assert (process.du.init, process.dv.init, process.vth.init) == (4095, 7, 100)
    np.testing.assert_array_equal(process.bias_mant.init, [2, 2, 2])


def test_reset_population_is_a_lif_reset():
    process = lif_process(Cuba("hidden", (3,), 100, reset=Reset(8, 3)))
    assert type(process) is LIFReset
    assert (process.proc_params["reset_interval"], process.proc_params["reset_offset"]) == (8, 3)


def test_arrays_stay_arrays():
    process = lif_process(Cuba("hidden", (2, 2, 3), 100, i_decay_q12=np.array([1, 2, 4096])))
    np.testing.assert_array_equal(process.du.init, [0, 1, 4095])
