"""Figures for a tracker of the user's: what is told, and when."""

import pytest

from pumice.data.digits import load_digits
from pumice.errors import InputError
from pumice.train import PRESETS, EpochRecord, train
from pumice.train.loggers import log_function
from pumice.train.logs import RunLogs
from pumice.train.recipe import LoggingSection


class Run:
    """As `wandb.init` gives one."""

    def __init__(self):
        self.told = []

    def log(self, figures, step=None):
        self.told.append((step, dict(figures)))


class Tracker:
    """As the module `mlflow`."""

    def __init__(self):
        self.told = []

    def log_metrics(self, metrics, step=None):
        self.told.append((step, dict(metrics)))


@pytest.mark.parametrize("kind", [Run, Tracker])
def test_steps_and_epochs_are_told_without_a_folder(kind):
    logger = kind()
    logs = RunLogs(None, LoggingSection(), logger=logger)
    logs.step(1, "float", 1, 1, lr=0.1, loss=2.0, accuracy=None)
    logs.epoch([EpochRecord("float", 1, 0.5, 0.75, 0.7, {"conv1": 0.25})], 1)
    (first, step), (last, epoch) = logger.told
    assert (first, step) == (1, {"step/lr": 0.1, "step/loss": 2.0})
    assert (last, epoch["epoch/test_accuracy"], epoch["firing_rate/conv1"]) == (1, 0.7, 0.25)
    assert not any(value is None for value in epoch.values())


def test_what_takes_no_figures_is_refused_before_the_work():
    with pytest.raises(InputError, match="got str"):
        log_function("wandb")
    with pytest.raises(InputError, match="log_metrics"):
        train(PRESETS["digits"], None, logger=print)


def test_training_tells_each_step_once(small_recipe):
    logger = Run()
    trained = train(small_recipe(), load_digits(), logger=logger)
    steps = [step for step, figures in logger.told if "step/loss" in figures]
    assert steps == [*range(1, steps[-1] + 1)]
    epochs = [figures for _, figures in logger.told if "epoch/loss" in figures]
    assert [e["epoch/loss"] for e in epochs] == [record.loss for record in trained.history]
