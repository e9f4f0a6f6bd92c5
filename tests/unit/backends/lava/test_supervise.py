"""The supervisor by itself, without Lava."""

import multiprocessing
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from numba.core.compiler_lock import global_compiler_lock

from pumice.backends.lava import supervise as module
from pumice.backends.lava.memory import shared_array
from pumice.backends.lava.supervise import Deadline, Stall, supervise
from pumice.errors import BackendError, GraphError

FOREVER = Deadline(None)


@pytest.fixture
def progress():
    return shared_array((1,), np.int64)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still; `clock[0]` is the time."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"  # a zombie, until init collects it
    except OSError:
        return True


def test_work_shares_memory_and_returns_a_value(progress):
    def work():
        progress[0] = os.getpid()
        return {"group": os.getpgid(0)}

    assert supervise(work, FOREVER) == {"group": progress[0]}
    assert progress[0] not in (0, os.getpid())


def test_exception_brings_its_traceback_and_what_was_printed():
    def work():
        print("last words")
        sys.stderr.write("to stderr\n")
        os.write(1, b"from C\n")
        raise ValueError("planted")

    with pytest.raises(BackendError, match=r"Traceback(.|\n)*planted(.|\n)*last words\nto stderr\nfrom C"):
        supervise(work, FOREVER)


def test_own_errors_come_as_they_are():
    def work():
        raise GraphError("one clear line")

    with pytest.raises(BackendError, match=r"^one clear line$"):
        supervise(work, FOREVER)


def test_a_result_that_cannot_be_sent_is_an_error():
    with pytest.raises(BackendError, match=r"Lava failed(.|\n)*pickle"):
        supervise(threading.Lock, FOREVER)


def test_out_of_memory_is_named():
    def work():
        raise MemoryError

    with pytest.raises(BackendError, match="ran out of memory; run fewer steps"):
        supervise(work, FOREVER)


def test_death():
    with pytest.raises(BackendError, match="died with exit code 7"):
        supervise(lambda: os._exit(7), FOREVER)


def test_a_result_of_which_half_was_written_is_none(monkeypatch):
    """A full disk or no memory: the work is done, but nobody could be told."""

    def refuse(file, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_write", refuse)
    with pytest.raises(BackendError, match="died with exit code 1"):
        supervise(lambda: 1, FOREVER)


@pytest.mark.parametrize("grandchild_lives", [False, True])
def test_a_killed_leader_is_noticed_though_its_children_live(progress, grandchild_lives):
    """They hold what they inherited, so no pipe would ever close."""

    def work():
        if grandchild_lives and not (pid := os.fork()):
            time.sleep(60)
        progress[0] = pid if grandchild_lives else 0
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(BackendError, match=r"was killed by signal 9 \(SIGKILL; the kernel kills so"):
        supervise(work, FOREVER)
    assert not grandchild_lives or is_gone(progress[0])


def test_stall_begins_anew_with_each_step(progress, clock):
    stall = Stall(progress, 5)
    for _ in range(3):
        clock[0] += 4
        assert stall.ended() is None
        progress[0] += 1
        assert stall.ended() is None
    clock[0] += 5.1
    assert "no progress for 5 s after 3 time steps" in stall.ended()


def test_a_deadline_does_not(clock):
    deadline, never = Deadline(5), Deadline(None)
    clock[0] += 4
    assert deadline.ended() is None
    clock[0] += 1.1
    assert "not done after 5 s" in deadline.ended()
    assert never.ended() is None


def test_no_progress(progress):
    with pytest.raises(BackendError, match=r"no progress for 0\.5 s after 0 time steps"):
        supervise(lambda: time.sleep(600), Stall(progress, 0.5))


def test_a_group_that_will_not_end_is_killed(progress):
    """A child of a child, too, which the kernel does not end with the leader."""

    def work():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if not os.fork() and (pid := os.fork()):
            progress[0] = pid
        time.sleep(60)

    class Started:
        def ended(self):
            return "stopped by the test" if progress[0] else None

    with pytest.raises(BackendError, match="stopped by the test"):
        supervise(work, Started())
    assert is_gone(progress[0])


def test_a_caller_that_collects_every_child_gets_the_result_all_the_same():
    """As with `signal.signal(SIGCHLD, SIG_IGN)`, or an `os.wait` of its own."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert supervise(lambda: 5, FOREVER) == 5
        with pytest.raises(BackendError, match=r"Lava's process died"):
            supervise(lambda: os._exit(7), FOREVER)
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_daemonic_caller_may_start_processes_in_its_work(monkeypatch):
    """As workers of pools and data loaders are."""

    def start_a_process():
        child = multiprocessing.Process(target=int)
        child.start()
        child.join()
        return child.exitcode

    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    assert supervise(start_a_process, FOREVER) == 0
    assert multiprocessing.current_process().daemon


def test_a_fork_waits_for_a_thread_that_compiles():
    """Or the child, compiling a kernel itself, would wait for ever for that thread's lock."""
    holds, may_end, result = threading.Event(), threading.Event(), []

    def compile_for_long():
        with global_compiler_lock:
            holds.set()
            may_end.wait()

    def use_the_lock():
        with global_compiler_lock:
            return 1

    other = threading.Thread(target=compile_for_long)
    other.start()
    holds.wait()
    run = threading.Thread(target=lambda: result.append(supervise(use_the_lock, Deadline(60))))
    run.start()
    time.sleep(0.3)
    may_end.set()
    run.join()
    other.join()
    assert result == [1]


def test_no_process_left_is_an_error_of_ours(monkeypatch):
    def refuse():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(module.os, "fork", refuse)
    with pytest.raises(BackendError, match=r"no process could be started for Lava .*raise the limit"):
        supervise(lambda: 1, FOREVER)


def test_no_descriptor_stays_open():
    before = sorted(os.listdir("/proc/self/fd"))
    supervise(lambda: 1, FOREVER)
    with pytest.raises(BackendError):
        supervise(lambda: os._exit(7), FOREVER)
    assert sorted(os.listdir("/proc/self/fd")) == before
