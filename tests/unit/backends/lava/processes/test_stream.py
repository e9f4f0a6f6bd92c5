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
    first, second, steps_done = np.zeros((3, 2), np.int32), np.zeros((3, 1), np.int32), np.zeros(1, np.int64)
    ports = {"s_in": SimpleNamespace(recv=lambda: [1, 0]), "s_in1": SimpleNamespace(recv=lambda: [7])}
    model(stream.PySpikeRecorderModel, {"spikes": (first, second), "steps_done": steps_done}, **ports).run_spk()
    np.testing.assert_array_equal(first, [[0, 0], [1, 0], [0, 0]])
    np.testing.assert_array_equal(second, [[0], [7], [0]])
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
    recorder = stream.SpikeRecorder(steps_done, np.zeros((5, 4), np.int32), np.zeros((5, 2, 3), np.int32))
    assert [port.shape for port in recorder.ins] == [(4,), (2, 3)]
    assert recorder.ins[0] is recorder.s_in


def test_as_few_recorders_as_can_be():
    outs = [LIF(shape=(1,)).s_out for _ in range(stream.MAX_PORTS + 1)]
    arrays = [np.zeros((5, 1), np.int32) for _ in outs]
    stream.record_spikes(zip(outs, arrays, strict=True), np.zeros(1, np.int64))
    ports = [port for out in outs for port in out.out_connections]
    recorders = list(dict.fromkeys(port.process for port in ports))
    assert [len(recorder.ins) for recorder in recorders] == [stream.MAX_PORTS, 1]
    assert ports == [port for recorder in recorders for port in recorder.ins]
    assert all(a is b for a, b in zip(arrays, [x for r in recorders for x in r.proc_params["spikes"]], strict=True))
