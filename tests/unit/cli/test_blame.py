"""A user's own code that raises is the user's to mend; pumice's is a bug of pumice."""

import sys

import numpy as np
import pytest

from pumice.cli import main
from pumice.ir import Timing
from pumice.ir.builder import chain
from pumice.netx import save

OWN = """
import torch
from pumice.backends.reference import ReferenceBackend
from pumice.models import build_model

def load():
    raise RuntimeError("no disk")

class Broken(ReferenceBackend):
    name = "broken"

    def _run(self, graph, x, record):
        return torch.zeros(2) @ torch.zeros(3)

class Loss:
    def __call__(self, outputs, labels):
        return outputs.no_such_thing

class Wrong(ReferenceBackend):
    name = "wrong"

    def _run(self, graph, x, record):
        return super()._run(None, x, record)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_that_raises", raising=False)
    (tmp_path / "own_that_raises.py").write_text(OWN)
    save(chain((4,), [3], seed=0).replace(timing=Timing(5, 8)), tmp_path / "a.net")
    np.save(tmp_path / "x.npy", np.ones((5, 4), int))
    return tmp_path


TRAIN = ["train", "digits", "-o", "a.pt", "--set", "data.max_train=20", "--set", "training.epochs=1", "--set"]
RUN = ["run", "a.net", "--input", "x.npy", "-o", "y.npz", "--backend"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*TRAIN, "data.dataset=own_that_raises:load"], "RuntimeError: no disk (own_that_raises.py, line 7, in load"),
        ([*TRAIN, "training.loss=own_that_raises:Loss"], "in __call__: your own code, not pumice's)"),
        ([*RUN, "own_that_raises:Broken"], "own_that_raises.py, line 13, in _run: your own code"),
    ],
)
def test_own_code_that_raises_is_named(arguments, message, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error.splitlines()[-1]
    assert "Traceback" in error  # which the user wants to read


@pytest.mark.usefixtures("here")
def test_what_raises_within_pumice_is_pumices(capsys):
    assert main([*RUN, "own_that_raises:Wrong"]) == 3
    assert "(this is a bug in pumice" in capsys.readouterr().err
