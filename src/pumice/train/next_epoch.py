"""Which epoch is next, and which is the best: both follow from what is done, so nothing of it is stored."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pumice.train.history import FINETUNE, FLOAT, EpochRecord
from pumice.train.recipe import Recipe


def next_epoch(recipe: Recipe, history: Sequence[EpochRecord]) -> tuple[str, int] | None:
    """Phase and number (from 1, within the phase) of the next epoch; None when the run is complete.

    Example:
        >>> next_epoch(Recipe(), [])
        ('float', 1)
    """
    done = {phase: sum(record.phase == phase for record in history) for phase in (FLOAT, FINETUNE)}
    if not done[FINETUNE] and done[FLOAT] < recipe.training.epochs and not stops_early(recipe, history):
        return FLOAT, done[FLOAT] + 1
    return (FINETUNE, done[FINETUNE] + 1) if done[FINETUNE] < recipe.training.finetune_epochs else None


def stops_early(recipe: Recipe, history: Sequence[EpochRecord]) -> bool:
    """Whether the phase in real numbers has gone on for too long without improving.

    Example:
        >>> recipe = Recipe(training={"early_stopping": {"patience": 2}})
        >>> losses = [3.0, 2.0, 2.5, 2.0]
        >>> stops_early(recipe, [EpochRecord("float", 1, loss, 0.5, 0.5, {}) for loss in losses])
        True
    """
    rule = recipe.training.early_stopping
    floats = [record for record in history if record.phase == FLOAT]
    if rule is None or not floats:
        return False
    values = [_monitored(record, rule.monitor) for record in floats]
    best, best_at = math.inf, 0
    for index, value in enumerate(values):
        if value < best - rule.min_delta:
            best, best_at = value, index
    return len(values) - 1 - best_at >= rule.patience


def _monitored(record: EpochRecord, monitor: str) -> float:
    """What is monitored, the smaller the better."""
    if monitor == "train_loss":
        return record.loss
    value = record.validation_loss if monitor == "validation_loss" else record.validation_accuracy
    if value is None:
        return math.inf
    return value if monitor == "validation_loss" else -value


def kept_record(recipe: Recipe, history: Sequence[EpochRecord], phase: str) -> EpochRecord | None:
    """The epoch whose weights a phase ends with: its last, or, with `training.keep_best`, its best (the first such).

    Example:
        >>> recipe = Recipe(training={"keep_best": "train_loss"})
        >>> history = [EpochRecord("float", i, loss, 0.5, 0.5, {}) for i, loss in enumerate([3.0, 1.0, 2.0], start=1)]
        >>> kept_record(recipe, history, "float").epoch, kept_record(Recipe(), history, "float").epoch
        (2, 3)
    """
    records = [record for record in history if record.phase == phase]
    monitor = recipe.training.keep_best
    if not records or monitor is None:
        return records[-1] if records else None
    return min(records, key=lambda record: _monitored(record, monitor))
