import subprocess
import sys

import pytest

from pumice.cli import compile_ahead
from pumice.cli.compile_ahead import compiling_ahead


class Helper:
    """A second process that has not ended."""

    def __init__(self, asked):
        self._asked = asked

    def wait(self, timeout=None):
        self._asked.append(("wait", timeout))
        if timeout is not None:
            raise subprocess.TimeoutExpired("helper", timeout)

    def kill(self):
        self._asked.append("kill")


@pytest.fixture
def asked(monkeypatch):
    found = []
    monkeypatch.setattr(compile_ahead, "_start", lambda file: found.append("start") or Helper(found))
    monkeypatch.setattr(compile_ahead, "is_cold", lambda: True)
    return found


def test_a_helper_is_never_left_behind(asked, net):
    with compiling_ahead(net):
        assert asked == ["start"]
    assert asked == ["start", "kill", ("wait", None)]


def test_a_helper_that_never_ends_is_waited_for_once(asked, net):
    with compiling_ahead(net, wait=True):
        pass
    assert asked == ["start", ("wait", compile_ahead.LONGEST_WAIT_S), "kill", ("wait", None)]


def test_nothing_is_started_where_all_is_compiled(asked, net, monkeypatch):
    monkeypatch.setattr(compile_ahead, "is_cold", lambda: False)
    with compiling_ahead(net, wait=True):
        pass
    assert asked == []


def test_an_error_ends_it_at_once(asked, net):
    with pytest.raises(KeyError), compiling_ahead(net, wait=True):
        raise KeyError
    assert asked == ["start", "kill", ("wait", None)]


@pytest.mark.slow
def test_what_it_compiles_is_what_a_run_needs(net, x, tmp_path, monkeypatch):
    """A process that runs the network after it compiles nothing, and before it something."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    script = (
        "import sys, numpy as np, pumice\n"
        "from pathlib import Path\n"
        "from pumice.cli import compile_ahead\n"
        "from numba.core import event\n"
        "cold = compile_ahead.is_cold()\n"
        "if sys.argv[1] == 'ahead':\n"
        "    compile_ahead.compile_loops(Path('a.net'))\n"
        "else:\n"
        "    with event.install_recorder('numba:compile') as compiled:\n"
        "        pumice.run(pumice.load('a.net'), np.load('x.npy'))\n"
        "    print(cold, len(compiled.buffer))\n"
    )
    for part in ("ahead", "run"):
        done = subprocess.run(
            [sys.executable, "-c", script, part], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "0"]
