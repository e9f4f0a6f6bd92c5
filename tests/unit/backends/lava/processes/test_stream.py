"""The models by themselves, with ports that are lists."""

from types import SimpleNamespace

import numpy as np
from lava.proc.lif.process import LIF

from pumice.backends.lava.processes import stream


def model(cls, proc_params, **ports):
    made = cls(proc_params)
    made.time_step = 2
    for name, port in ports.items():
        setattr(made, name, port)
    return made


def test_source_sends_this_steps_values():
    x, sent = np.arange(6).reshape(3, 2), []
    model(stream.PySourceModel, {"x": x}, s_out=SimpleNamespace(send=sent.append)).run_spk()
    np.testing.assert_array_equal(sent[0], [2, 3])


def test_spike_recorder_writes_and_counts():
    spikes, steps_done = np.zeros((3, 2), np.int32), np.zeros(1, np.int64)
    port = SimpleNamespace(recv=lambda: np.array([1, 0]))
    model(stream.PySpikeRecorderModel, {"spikes": spikes, "steps_done": steps_done}, s_in=port).run_spk()
    np.testing.assert_array_equal(spikes, [[0, 0], [1, 0], [0, 0]])
    assert steps_done[0] == 2


def test_state_recorder_writes_s_in_the_step_and_states_after_it():
    trace, steps_done = np.zeros((3, 3, 2), np.int32), np.zeros(1, np.int64)
    recorder = model(
        stream.PyStateRecorderModel,
        {"trace": trace, "n_states": 2, "steps_done": steps_done},
        s_in=SimpleNamespace(recv=lambda: np.array([1, 0])),
        state0=SimpleNamespace(read=lambda: np.array([5, 6])),
        state1=SimpleNamespace(read=lambda: np.array([0, 8])),
    )
    recorder.run_spk()
    assert recorder.post_guard()
    assert steps_done[0] == 0
    recorder.run_post_mgmt()
    np.testing.assert_array_equal(trace[:, 1], [[1, 0], [5, 6], [0, 8]])
    assert not trace[:, [0, 2]].any()
    assert steps_done[0] == 2


def test_processes_have_the_shapes_of_their_arrays():
    neurons, steps_done = LIF(shape=(2, 3)), np.zeros(1, np.int64)
    recorder = stream.StateRecorder(np.zeros((3, 5, 2, 3), np.int32), neurons, ("u", "v"), steps_done)
    assert recorder.s_in.shape == recorder.state0.shape == (2, 3)
    assert [port.get_dst_vars() for port in (recorder.state0, recorder.state1)] == [[neurons.u], [neurons.v]]
    assert stream.Source(np.zeros((5, 4, 1), np.int32)).s_out.shape == (4, 1)
    assert stream.SpikeRecorder(np.zeros((5, 4), np.int32), steps_done).s_in.shape == (4,)
