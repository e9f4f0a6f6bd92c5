import io

import pytest
from rich.console import Console

from pumice.cli.progress import TrainingProgress
from pumice.train import EpochRecord


@pytest.mark.parametrize("terminal", [False, True])
def test_stages_and_epochs_are_shown(terminal):
    stream = io.StringIO()
    progress = TrainingProgress(Console(file=stream, force_terminal=terminal, width=200), 2)
    progress.stage("train")
    progress.batch()
    progress.epoch(EpochRecord("float", 1, 0.5, 0.9, 0.8, {"conv1": 0.25, "output": 0.1}))
    progress.batch()
    progress.stage("[lower]")
    progress.close()
    shown = stream.getvalue()
    assert "train\n" in shown
    assert "[lower]" in shown
    assert "float 1: loss 0.5000, accuracy 90.0 % (test 80.0 %), firing 25, 10 %" in shown
