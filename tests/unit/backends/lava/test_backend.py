"""What the Lava backend does when all is well, and when models raise, die or never answer."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from dataclasses import replace
from multiprocessing import resource_tracker, shared_memory
from selectors import DefaultSelector

import numpy as np
import pytest

from pumice.backends import get_backend
from pumice.backends.lava import LavaBackend, LavaInThreadsBackend, LavaOneProcessBackend, execute
from pumice.backends.lava.processes import stream
from pumice.backends.verify import first_difference
from pumice.errors import BackendError, InputError
from pumice.ir import Conv, Cuba, Dense, Direct, Graph, Input
from pumice.ir.builder import chain

pytestmark = pytest.mark.lava

GRAPH = chain((4,), [3, 2], seed=0, vth_mant=100)
X = np.ones((6, 4), int)


def children() -> set[int]:
    """Processes below this one."""
    found, waiting = set(), [os.getpid()]
    while waiting:
        pid = waiting.pop()
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/stat") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found.add(int(entry))
                waiting.append(int(entry))
    return found


@pytest.fixture(autouse=True)
def nothing_stays_behind():
    before = children()
    yield
    assert children() <= before


def test_one_process_or_threads():
    with pytest.raises(InputError, match="two ways to run a graph; choose one"):
        LavaBackend(one_process=True, in_threads=True)


@pytest.mark.parametrize("timeout", [0, -1, "9", float("nan"), None])
def test_a_time_without_progress_is_a_number_above_0(timeout):
    for make in (LavaBackend, LavaOneProcessBackend, LavaInThreadsBackend):
        with pytest.raises(InputError, match=r"stall_timeout_s must be a number of seconds above 0, got"):
            make(timeout)


def test_run_equals_reference_and_records_every_population():
    backend = get_backend("lava")
    result = backend.run(GRAPH, X, record=True)
    expected = get_backend("reference").run(GRAPH, X, record=True)
    assert first_difference(expected.records, result.records) is None
    np.testing.assert_array_equal(result.spikes, expected.spikes)
    assert backend.run(GRAPH, X).records == {}


def test_several_outputs():
    graph = GRAPH.replace(outputs=("dense1", "dense0"))
    result = LavaBackend().run(graph, X)
    expected = get_backend("reference").run(graph, X)
    assert list(result.outputs) == ["dense1", "dense0"]
    for name, spikes in expected.outputs.items():
        np.testing.assert_array_equal(result.outputs[name], spikes)


def test_lava_leaves_no_trace_in_the_caller():
    import logging

    from lava.magma.core.process.process import ProcessServer

    before = len(logging.getLogger().handlers), ProcessServer().num_processes
    LavaBackend().run(GRAPH, X)
    assert (len(logging.getLogger().handlers), ProcessServer().num_processes) == before


def test_direct_input_that_is_not_graded_must_be_binary():
    graph = Graph(Input("input", (3,)), (Cuba("a", (3,), 5),), (Direct("input", "a"),), ("a",))
    with pytest.raises(BackendError, match=r"must be 0 or 1.*got 0\.\.7"):
        LavaBackend().run(graph, np.array([[0, 1, 7]]))


def raise_in_step_3(model):
    if model.time_step == 3:
        raise ValueError("planted failure")
    model.s_out.send(np.zeros(4, np.int32))


def raise_after_step_6(model):
    model.s_out.send(np.zeros(4, np.int32))
    if model.time_step == len(X):
        raise ValueError("planted failure")


def sleep_in_step_3(model):
    if model.time_step == 3:
        time.sleep(600)
    model.s_out.send(np.zeros(4, np.int32))


def die_in_step_3(model):
    if model.time_step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    model.s_out.send(np.zeros(4, np.int32))


class UnpicklableError(Exception):
    def __reduce__(self):
        raise TypeError("cannot be sent to another process")


def raise_unpicklable(model):
    raise UnpicklableError("planted failure")


def fail_to_build(model, proc_params):
    raise RuntimeError("planted failure while building")


def hang_while_building(model, proc_params):
    time.sleep(600)


def test_model_that_raises(monkeypatch):
    monkeypatch.setattr(stream.PySourceModel, "run_spk", raise_in_step_3)
    with pytest.raises(BackendError, match=r"Source.*raised:\n(.|\n)*raise_in_step_3(.|\n)*planted failure"):
        LavaBackend().run(GRAPH, X)


def test_model_that_raises_is_named_though_its_service_speaks_first(monkeypatch):
    """On a busy machine the service's answer is there before the model's end is noticed."""

    class Late(DefaultSelector):
        def select(self, timeout=None):
            return super().select(timeout) if timeout == execute.DEATH_S else []

    monkeypatch.setattr(stream.PySourceModel, "run_spk", raise_after_step_6)
    monkeypatch.setattr(execute, "DefaultSelector", Late)
    with pytest.raises(BackendError, match=r"Source.*raised:\n(.|\n)*raise_after_step_6(.|\n)*planted failure"):
        LavaBackend().run(GRAPH, X)


def test_model_whose_exception_cannot_be_sent(monkeypatch):
    monkeypatch.setattr(stream.PySourceModel, "run_spk", raise_unpicklable)
    with pytest.raises(BackendError, match=r"Source(.|\n)*planted failure"):
        LavaBackend().run(GRAPH, X)


def test_model_that_never_answers(monkeypatch):
    monkeypatch.setattr(stream.PySourceModel, "run_spk", sleep_in_step_3)
    with pytest.raises(BackendError, match=r"no progress for 3 s after [0-3] time steps"):
        LavaBackend(stall_timeout_s=3).run(GRAPH, X)


def test_model_that_dies(monkeypatch):
    monkeypatch.setattr(stream.PySourceModel, "run_spk", die_in_step_3)
    with pytest.raises(
        BackendError, match=r"Source.*was killed by signal 9 \(SIGKILL; the kernel kills so when memory runs out\)"
    ):
        LavaBackend().run(GRAPH, X)


def test_model_that_cannot_be_built(monkeypatch):
    monkeypatch.setattr(stream.PySourceModel, "__init__", fail_to_build)
    with pytest.raises(BackendError, match=r"(.|\n)*planted failure while building"):
        LavaBackend().run(GRAPH, X)


def test_model_that_is_never_built(monkeypatch):
    monkeypatch.setattr(stream.PySourceModel, "__init__", hang_while_building)
    with pytest.raises(BackendError, match="no progress for 3 s after 0 time steps"):
        LavaBackend(stall_timeout_s=3).run(GRAPH, X)


def test_keyboard_interrupt(monkeypatch):
    monkeypatch.setattr(stream.PySourceModel, "run_spk", sleep_in_step_3)
    before = len(children())

    def interrupt_the_models() -> None:
        while len(children()) < before + 3:
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt_the_models)
    before_test = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts behind "&" has none
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            LavaBackend().run(GRAPH, X)
    finally:
        signal.signal(signal.SIGINT, before_test)
    thread.join()


def test_run_from_a_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(LavaBackend().run(GRAPH, X)))
    thread.start()
    thread.join()
    assert results[0].spikes.shape == (6, 2)


def test_shared_memory_has_no_names(monkeypatch):
    """So none can stay, whoever is killed, and no lock of multiprocessing's tracker is copied by a fork."""

    def refuse(*_, **__):
        raise AssertionError("a segment with a name")

    monkeypatch.setattr(shared_memory.SharedMemory, "__init__", refuse)
    monkeypatch.setattr(resource_tracker.ResourceTracker, "ensure_running", refuse)
    assert LavaBackend().run(GRAPH, X).spikes.shape == (6, 2)


def processes_with(mark):
    """Those that inherited this mark with their environment."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                found += [int(entry)] if mark.encode() in file.read() else []
        except OSError:
            continue
    return found


def test_children_end_with_a_caller_that_is_killed():
    """The kernel ends them, one after the other."""
    script = """
        import time
        import numpy as np
        from pumice.backends.lava import LavaBackend
        from pumice.backends.lava.processes import stream
        from pumice.ir.builder import chain

        def sleep(model):
            time.sleep(600)

        stream.PySourceModel.run_spk = sleep
        LavaBackend().run(chain((4,), [3], seed=0), np.ones((6, 4), int))
    """
    mark = f"PUMICE_MARK={uuid.uuid4()}"
    name, _, value = mark.partition("=")
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], env={**os.environ, name: value}) as caller:
        while len(processes_with(mark)) < 7:  # caller, supervisor, four processes and their service
            assert caller.poll() is None
            time.sleep(0.1)
        caller.kill()
    for _ in range(600):
        if not processes_with(mark):
            break
        time.sleep(0.1)
    assert not processes_with(mark)


def test_runs_whatever_start_method_the_caller_has_chosen():
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)
    try:
        assert LavaBackend().run(GRAPH, X).spikes.shape == (6, 2)
        assert multiprocessing.get_start_method() == "spawn"
    finally:
        multiprocessing.set_start_method(before, force=True)


IN_THREADS = LavaBackend(stall_timeout_s=600, in_threads=True)


def test_threads_equal_the_reference_and_end_with_a_loop():
    graph = GRAPH.replace(synapses=(*GRAPH.synapses, Dense("dense1", "dense0", weight=np.full((3, 2), 60))))
    expected = get_backend("reference").run(graph, X, record=True)
    result = IN_THREADS.run(graph, X, record=True)
    assert first_difference(expected.records, result.records) is None
    np.testing.assert_array_equal(result.spikes, expected.spikes)
    np.testing.assert_array_equal(IN_THREADS.run(graph, X).spikes, expected.spikes)


def test_a_model_that_raises_ends_all_threads(monkeypatch):
    monkeypatch.setattr(stream.PySourceModel, "run_spk", raise_in_step_3)
    with pytest.raises(BackendError, match=r"Source.*raised:\n(.|\n)*raise_in_step_3(.|\n)*planted failure"):
        IN_THREADS.run(GRAPH, X)


def test_threads_refuse_what_lavas_channels_refuse(monkeypatch):
    monkeypatch.setattr(stream.PySourceModel, "run_spk", lambda model: model.s_out.send(np.zeros(5, np.int32)))
    for backend in (LavaBackend(), IN_THREADS):
        with pytest.raises(BackendError, match=r"Source(.|\n)*AssertionError"):
            backend.run(GRAPH, X)


def test_threads_cast_as_lavas_channels_cast(monkeypatch):
    """Fractions are lost on the way."""
    monkeypatch.setattr(stream.PySourceModel, "run_spk", lambda model: model.s_out.send(np.full(4, 1.9)))
    graph = chain((4,), [3], seed=0)
    graph = graph.replace(synapses=tuple(replace(s, graded=True) for s in graph.synapses))
    under_the_runtime = LavaBackend().run(graph, X, record=True).records
    assert first_difference(under_the_runtime, IN_THREADS.run(graph, X, record=True).records) is None
    assert under_the_runtime["dense0"].u.any()


def test_an_overflow_in_a_thread_is_an_error(monkeypatch):
    """Lava's convolution sums in floating point; what 32 bits do not hold must not become some number."""
    conv = Conv("input", "a", weight=np.full((1, 1, 1, 1), 2**14), graded=True)
    graph = Graph(Input("input", (2, 2, 1)), (Cuba("a", (2, 2, 1), 5),), (conv,), ("a",))
    monkeypatch.setattr(
        stream.PySourceModel, "run_spk", lambda model: model.s_out.send(np.full((2, 2, 1), 2**22, np.int32))
    )
    for backend in (LavaBackend(), IN_THREADS):
        with pytest.raises(BackendError, match="invalid value"):
            backend.run(graph, np.ones((2, 2, 2, 1), int))
