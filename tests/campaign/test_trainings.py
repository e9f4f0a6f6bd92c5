"""Trainings that are killed end as if they had not been; a full disk leaves the old file whole."""

import json
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pumice
from pumice.data import load_digits
from pumice.errors import PumiceError
from pumice.ir.builder import chain
from pumice.ir.digest import graph_digests
from pumice.train import PRESETS, load_checkpoint, train
from pumice.train.checkpoint import save_checkpoint

pytestmark = pytest.mark.campaign


@pytest.fixture
def n_kills(request):
    return request.config.getoption("--campaign-kills")


def test_trainings_that_are_killed(tally, rng, n_kills, tmp_path):
    script = Path(__file__).parent / "kill_trainings.py"
    command = [sys.executable, str(script), str(tmp_path), str(rng.integers(1 << 30)), str(n_kills)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout.splitlines()[-1])
    for outcome in outcomes:
        tally.add(outcome, "the resumed training differs")
    tally.check(len(outcomes))
    assert len(outcomes) >= n_kills


class NetFile:
    """Two versions of a network's file."""

    def __init__(self, folder):
        self.path = folder / "a.net"
        self._graphs = [chain((40,), [30, 20], seed=seed) for seed in (1, 2)]

    def write(self, version):
        pumice.save(self._graphs[version], self.path)

    def read(self):
        return graph_digests(pumice.load(self.path))


class CheckpointFile:
    """Two versions of a checkpoint."""

    def __init__(self, folder):
        self.path = folder / "checkpoint.pt"
        settings = ["data.max_train=40", "data.max_test=20", "data.steps=2", "training.epochs=1",
                    "training.finetune_epochs=0"]  # fmt: skip
        train(PRESETS["digits"].overridden(settings), load_digits(), checkpoint_path=self.path)
        first = load_checkpoint(self.path)
        self._checkpoints = first, replace(first, history=first.history * 2)

    def write(self, version):
        save_checkpoint(self._checkpoints[version], self.path)

    def read(self):
        return len(load_checkpoint(self.path).history)


@pytest.mark.parametrize("kind", [NetFile, CheckpointFile])
def test_full_disks(isolated, tally, rng, n_kills, tmp_path, kind):  # noqa: PLR0917
    """A limit on the size of files acts as a full disk does: a write ends in the middle."""
    file = kind(tmp_path)
    file.write(1)
    new = file.read()
    file.write(0)
    old, size = file.read(), file.path.stat().st_size

    def is_whole(limit):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        file.write(0)
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, unlimited[1]))
            file.write(1)
        except PumiceError:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
            if file.read() != old:
                return False
            raise
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        return file.read() == new

    isolated(is_whole, [int(limit) for limit in rng.integers(0, size, n_kills)])
    tally.check(n_kills)
    assert np.isin(list(tally.counts), ["clean error", "correct"]).all()
