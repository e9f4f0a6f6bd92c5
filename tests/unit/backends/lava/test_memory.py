import resource
from pathlib import Path

import numpy as np
import pytest

from pumice.backends.lava import memory
from pumice.backends.lava.supervise import Deadline, supervise
from pumice.errors import BackendError


def test_processes_share_an_array():
    array = memory.shared_array((2, 3), np.int32)

    def work():
        array[1] = 7

    supervise(work, Deadline(None))
    assert array.tolist() == [[0, 0, 0], [7, 7, 7]]


def test_an_array_of_nothing():
    assert memory.shared_array((0, 3), np.int32).shape == (0, 3)


def test_more_than_the_address_space_holds_is_an_error_of_ours():
    with pytest.raises(BackendError, match=r"no memory for 4194304\.0 GiB that Lava's processes share"):
        memory.shared_array((2**52,), np.int8)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Function: a machine with so many MiB left, in a container with so many."""

    def make(left, container=None):
        (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable: {left << 10} kB\n")
        if container is not None:
            (tmp_path / "memory.max").write_text(f"{container << 20}\n")
            (tmp_path / "memory.current").write_text(f"{30 << 20}\n")
            (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {20 << 20}\n")
        monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
        monkeypatch.setattr(memory, "CGROUP", tmp_path)

    return make


def test_the_machine_or_the_container_limits(machine):
    machine(500)
    assert memory.available_bytes() == 500 << 20
    machine(500, container=110)
    assert memory.available_bytes() == 100 << 20
    machine(50, container=110)
    assert memory.available_bytes() == 50 << 20


def test_what_does_not_fit_is_refused(machine):
    machine(100)
    memory.require(80 << 20, "this")
    with pytest.raises(BackendError, match=r"^this needs at least 95\.0 MiB, and 100\.0 MiB of memory are available"):
        memory.require(95 << 20, "this")


def test_where_nobody_says_what_is_left_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    memory.require(1 << 60, "this")


def test_a_limit_of_the_process_counts():
    def limited():
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + (64 << 20), resource.RLIM_INFINITY))
        return memory.available_bytes()

    assert 0 < supervise(limited, Deadline(None)) <= 65 << 20
