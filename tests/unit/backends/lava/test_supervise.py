"""The supervisor by itself, without Lava."""

import mmap
import os
import sys
import time

import numpy as np
import pytest

from pumice.backends.lava.supervise import supervise
from pumice.errors import BackendError, GraphError


@pytest.fixture
def progress():
    return np.frombuffer(mmap.mmap(-1, 8), np.int64)


def test_work_shares_memory(progress):
    def work() -> None:
        progress[0] = os.getpid()

    supervise(work, progress, 10)
    assert progress[0] not in (0, os.getpid())


def test_exception_brings_its_traceback_and_what_was_printed(progress):
    def work() -> None:
        print("last words")
        sys.stderr.write("to stderr\n")
        os.write(1, b"from C\n")
        raise ValueError("planted")

    with pytest.raises(BackendError, match=r"Traceback(.|\n)*planted(.|\n)*last words\nto stderr\nfrom C"):
        supervise(work, progress, 10)


def test_own_errors_come_as_they_are(progress):
    def work() -> None:
        raise GraphError("one clear line")

    with pytest.raises(BackendError, match=r"^one clear line$"):
        supervise(work, progress, 10)


def test_death(progress):
    with pytest.raises(BackendError, match="died with exit code 7"):
        supervise(lambda: os._exit(7), progress, 10)


def test_progress_restarts_the_clock(progress):
    def work() -> None:
        for _ in range(6):
            time.sleep(0.4)
            progress[0] += 1

    supervise(work, progress, 1.5)
    assert progress[0] == 6


def test_no_progress(progress):
    with pytest.raises(BackendError, match=r"no progress for 0\.5 s after 0 time steps"):
        supervise(lambda: time.sleep(600), progress, 0.5)


def test_grandchildren_are_killed_even_if_the_child_will_not_end(progress, monkeypatch):
    monkeypatch.setattr("pumice.backends.lava.supervise.GRACE_S", 0.3)

    def work() -> None:
        progress[0] = os.fork()
        while True:
            try:
                time.sleep(600)
            except SystemExit:
                continue

    with pytest.raises(BackendError, match="no progress"):
        supervise(work, progress, 1)
    for _ in range(50):  # it may be a zombie for a moment, until init collects it
        try:
            with open(f"/proc/{progress[0]}/stat") as file:
                gone = file.read().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            gone = True
        if gone:
            break
        time.sleep(0.1)
    assert gone
