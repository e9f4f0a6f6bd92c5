import json
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pumice.errors import InputError
from pumice.files.lock import NAME, locked_folder

HOLD = """
import sys, time
from pathlib import Path
from pumice.files.lock import locked_folder
with locked_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder's lock until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def take(folder):
    with locked_folder(folder):
        pass


def test_the_second_is_told_who_holds_it(holder, tmp_path):
    with pytest.raises(
        InputError, match=rf"run: is in use by process {holder.pid} on {socket.gethostname()}, since 20"
    ):
        take(tmp_path / "run")
    holder.communicate()
    take(tmp_path / "run")


def test_the_lock_of_a_killed_process_is_taken_over(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert (tmp_path / "run" / NAME).exists()
    take(tmp_path / "run")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
def test_a_process_that_only_waits_to_be_reaped_is_dead(holder, tmp_path):
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # leaves it as it is
    take(tmp_path / "run")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
def test_a_number_that_was_given_again_is_another_process(tmp_path):
    lock = {"host": socket.gethostname(), "pid": os.getpid(), "began": "1", "since": "2020-01-01"}
    (tmp_path / NAME).write_text(json.dumps(lock))
    take(tmp_path)


def test_the_lock_of_another_host_stays(tmp_path):
    lock = {"host": "elsewhere", "pid": 1, "began": None, "since": "2020-01-01"}
    (tmp_path / NAME).write_text(json.dumps(lock))
    with pytest.raises(InputError, match=r"process 1 on elsewhere, .*if it has ended, delete .pumice-lock"):
        take(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b'{"host": 1}', b"[" * 5000])
def test_a_lock_that_a_loss_of_power_left_is_nobodys(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    take(tmp_path)


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path):
    with locked_folder(tmp_path / "a" / "b"):
        assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == [NAME]
    with pytest.raises(ZeroDivisionError), locked_folder(tmp_path / "a" / "b"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    with locked_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "kept").touch()
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["kept"]


def test_of_many_one_at_a_time(tmp_path):
    inside, most, done = [], [], []
    lock = threading.Lock()

    def work(number):
        for _ in range(30):
            try:
                with locked_folder(tmp_path / "run"):
                    inside.append(number)
                    most.append(len(inside))
                    inside.remove(number)
                    with lock:
                        done.append(number)
            except InputError:
                continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert done
    assert set(most) == {1}
    assert not (tmp_path / "run" / NAME).exists()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written to"):
        take(tmp_path / "file" / "run")
