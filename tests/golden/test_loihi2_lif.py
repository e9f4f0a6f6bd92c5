"""What a real Loihi 2 did: the only public trace of a neuron's voltage and spikes that we know of.

The chip counts a refractory period of one step in the register of the voltage (lava issue 282), so a neuron that has
just fired reads 128 there, and 0 in Lava's CPU models and ours; what follows does not depend on it.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pumice
from pumice.fixedpoint.formats import DECAY_ONE
from pumice.ir import Cuba, Dense, Graph, Input

JUST_FIRED = 128


@pytest.fixture(scope="module")
def trace():
    return np.loadtxt(Path(__file__).with_name("loihi2_lif.csv"), dtype=int, delimiter=",")


@pytest.fixture(scope="module")
def graph():
    """Lava's `du` of 4095 is a decay of 1."""
    neuron = Cuba("lif", (1,), vth_mant=25, i_decay_q12=DECAY_ONE, v_decay_q12=163)
    return Graph(Input("in", (1,)), (neuron,), (Dense("in", "lif", weight=np.array([[10]])),), ("lif",))


def differences(graph, trace, backend):
    """Steps at which spikes differ, and steps at which voltages do."""
    x, v, s = trace.T
    record = pumice.run(graph, x[:, None], backend=backend, record=True).records["lif"]
    return np.flatnonzero(record.s[:, 0] != s).tolist(), np.flatnonzero(record.v[:, 0] != v).tolist()


@pytest.mark.parametrize("backend", ["reference", "fast", pytest.param("lava-in-threads", marks=pytest.mark.lava)])
def test_spikes_and_voltages_are_those_of_the_chip(graph, trace, backend):
    fired = np.flatnonzero(trace[:, 2]).tolist()
    assert len(trace) == 1000
    assert fired == [461, 511, 711, 761]
    assert differences(graph, trace, backend) == ([], fired)
    assert set(trace[fired, 1]) == {JUST_FIRED}


@pytest.mark.parametrize(
    "wrong", [{"v_decay_q12": 162}, {"v_decay_q12": 164}, {"vth_mant": 26}, {"i_decay_q12": 4000}], ids=str
)
def test_another_neuron_is_told_apart(graph, trace, wrong):
    other = graph.replace(populations=(replace(graph.populations[0], **wrong),))
    spikes, voltages = differences(other, trace, "reference")
    assert spikes or len(voltages) > 4
