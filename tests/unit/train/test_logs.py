import csv
import sys

import pytest

from pumice.errors import InputError, MissingExtraError, PumiceWarning
from pumice.train import EpochRecord
from pumice.train.logs import RunLogs
from pumice.train.recipe import LoggingSection

ALL = LoggingSection(tensorboard=True)
RECORD = EpochRecord("float", 1, 0.5, 0.75, 0.7, {"conv1": 0.25, "output": 0.125})


def note(logs, *steps):
    for step in steps:
        logs.step(step, "float", 1, step, lr=0.1, loss=1 / step, accuracy=0.5)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(folder)).Reload()
    return {tag: [(e.step, e.value) for e in board.Scalars(tag)] for tag in board.Tags()["scalars"]}


def test_steps_and_epochs(tmp_path):
    logs = RunLogs(tmp_path, ALL)
    note(logs, 1, 2)
    logs.epoch([RECORD], 2)
    size = logs.flush()
    logs.close()
    assert size == (tmp_path / "steps.csv").stat().st_size
    assert [(row["step"], float(row["loss"])) for row in rows(tmp_path / "steps.csv")] == [("1", 1.0), ("2", 0.5)]
    (epoch,) = rows(tmp_path / "epochs.csv")
    assert (epoch["firing conv1"], epoch["validation_loss"], epoch["test_accuracy"]) == ("0.25", "", "0.7")
    found = scalars(tmp_path / "tensorboard")
    assert found["step/loss"] == [(1, 1.0), (2, 0.5)]
    assert found["epoch/test_accuracy"] == [(2, pytest.approx(0.7))]
    assert found["firing_rate/conv1"] == [(2, 0.25)]


def test_what_was_noted_after_the_checkpoint_is_cut_off(tmp_path):
    first = RunLogs(tmp_path, ALL)
    note(first, 1, 2)
    size = first.flush()
    whole_until_then = (tmp_path / "steps.csv").read_bytes()
    note(first, 3)
    first.flush()
    first.close()
    second = RunLogs(tmp_path, ALL, log_bytes=size, steps=2)
    note(second, 3, 4)
    assert (tmp_path / "steps.csv").read_bytes() == whole_until_then
    second.flush()
    second.close()
    assert [row["step"] for row in rows(tmp_path / "steps.csv")] == ["1", "2", "3", "4"]
    assert [step for step, _ in scalars(tmp_path / "tensorboard")["step/loss"]] == [1, 2, 3, 4]


def test_the_log_of_another_run_is_not_gone_on_with(tmp_path):
    """Two checkpoints in one folder: rows of both had stood in one file, the last of one cut off."""
    first = RunLogs(tmp_path, LoggingSection())
    note(first, 1, 2)
    size = first.flush()
    other = RunLogs(tmp_path, LoggingSection())
    with pytest.warns(PumiceWarning, match="an earlier run"):
        note(other, *range(1, 30))
    other.flush()
    first = RunLogs(tmp_path, LoggingSection(), log_bytes=size + 3, steps=2)
    with pytest.warns(PumiceWarning, match=r"steps\.csv: is not the log that the checkpoint was written with"):
        note(first, 3)
    first.flush()
    assert [row["step"] for row in rows(tmp_path / "steps.csv")] == ["3"]


@pytest.mark.parametrize(
    ("wanted", "name"),
    [(LoggingSection(), "steps.csv"), (LoggingSection(csv=False, tensorboard=True), "tensorboard")],
)
def test_a_run_that_replaces_the_log_of_another_says_so(tmp_path, wanted, name):
    """As Lightning's CSVLogger does."""
    first = RunLogs(tmp_path, wanted)
    note(first, 1, 2)
    size = first.flush()
    first.close()
    second = RunLogs(tmp_path, wanted)
    with pytest.warns(PumiceWarning, match=f"{name}: is the log of an earlier run, which this one replaces"):
        note(second, 1)
    second.flush()
    second.close()
    resumed = RunLogs(tmp_path, wanted, log_bytes=size and (tmp_path / name).stat().st_size, steps=1)
    note(resumed, 2)
    resumed.close()


def test_nothing_is_written_before_it_is_asked_for(tmp_path):
    logs = RunLogs(tmp_path / "on", ALL)
    assert not (tmp_path / "on").exists()
    note(logs, 1)
    logs.close()
    assert (tmp_path / "on" / "steps.csv").read_bytes() == b""
    off = RunLogs(tmp_path / "off", LoggingSection(csv=False))
    note(off, 1)
    off.epoch([RECORD], 1)
    assert off.flush() == 0
    assert not list((tmp_path / "off").iterdir())


def test_without_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(MissingExtraError, match=r"logging\.tensorboard needs the package 'tensorboard'"):
        note(RunLogs(tmp_path, ALL), 1)


def test_a_log_that_cannot_be_written(tmp_path):
    (tmp_path / "steps.csv").mkdir()
    with pytest.raises(InputError, match=r"steps\.csv: cannot be written"):
        note(RunLogs(tmp_path, LoggingSection()), 1)
