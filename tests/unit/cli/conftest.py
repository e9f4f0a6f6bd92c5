import numpy as np
import pytest

import pumice
from pumice.cli import main
from pumice.ir.builder import chain
from pumice.netx import save


@pytest.fixture
def graph():
    return pumice.certify(chain((4,), [3, 2], seed=1), np.ones((6, 4), int)).replace(info={"data": "none"})


@pytest.fixture
def net(graph, tmp_path):
    save(graph, tmp_path / "a.net")
    return tmp_path / "a.net"


@pytest.fixture
def x(tmp_path):
    values = np.random.default_rng(0).integers(0, 2, (9, 4))
    np.save(tmp_path / "x.npy", values)
    return values


@pytest.fixture
def command(tmp_path, capsys, monkeypatch):
    """Function: run a command in a folder of its own, give exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(line):
        code = main(line.split())
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def refused(command, tmp_path):
    """Function: run a command that is the user's fault: exit code 2, one line, no new file."""

    def run(line):
        before = sorted(tmp_path.iterdir())
        code, out, err = command(line)
        assert (code, out) == (2, "")
        assert err.startswith("pumice: error: ")
        assert err.count("\n") == 1, err
        assert sorted(tmp_path.iterdir()) == before
        return err

    return run
