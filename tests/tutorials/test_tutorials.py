"""Each tutorial runs, at reduced size, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parents[2] / "tutorials").glob("[0-9]*.py"))


def test_there_are_tutorials():
    assert TUTORIALS


@pytest.mark.lava
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda p: p.stem)
def test_it_runs(path, tmp_path):
    environment = {**os.environ, "PUMICE_TUTORIAL_SMALL": "1"}
    done = subprocess.run(
        [sys.executable, path],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())
