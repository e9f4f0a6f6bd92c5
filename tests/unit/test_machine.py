import os
import resource
import signal
from pathlib import Path

import pytest

from pumice import machine
from pumice.errors import ResourceError
from pumice.files.limits import check_memory


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Function: a machine with so many MiB left, in a container with so many."""

    def make(left, container=None):
        (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable: {left << 10} kB\n")
        if container is not None:
            (tmp_path / "memory.max").write_text(f"{container << 20}\n")
            (tmp_path / "memory.current").write_text(f"{30 << 20}\n")
            (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {20 << 20}\n")
        monkeypatch.setattr(machine, "MEMINFO", tmp_path / "meminfo")
        monkeypatch.setattr(machine, "CGROUP", tmp_path)

    return make


def test_the_machine_or_the_container_limits(system):
    system(500)
    assert machine.available_bytes() == 500 << 20
    system(500, container=110)
    assert machine.available_bytes() == 100 << 20
    system(50, container=110)
    assert machine.available_bytes() == 50 << 20


def test_what_does_not_fit_is_refused(system):
    system(100)
    check_memory("this", 80 << 20)
    with pytest.raises(
        ResourceError, match=r"^this would take about 95\.0 MiB, and 100\.0 MiB of memory are available"
    ):
        check_memory("this", 95 << 20)


def test_where_nobody_says_what_is_left_it_is_what_is_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "none")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    assert machine.available_bytes() == os.sysconf("SC_PHYS_PAGES") * resource.getpagesize()
    monkeypatch.delattr(os, "sysconf")  # Windows
    assert machine.available_bytes() is None
    check_memory("this", 1 << 60)


def test_a_limit_of_the_process_counts():
    pid = os.fork()
    if not pid:
        try:
            mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (mapped + (64 << 20), resource.RLIM_INFINITY))
            os._exit(0 if 0 < machine.available_bytes() <= 65 << 20 else 1)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(pid, 0)[1] == 0
