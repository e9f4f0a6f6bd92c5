"""The learning rate of each batch."""

from __future__ import annotations

import math

from pumice import names
from pumice.errors import InputError
from pumice.train.history import FINETUNE
from pumice.train.recipe import Recipe
from pumice.train.schedules import SCHEDULES


def learning_rate(recipe: Recipe, phase: str, done: float, step: float) -> float:
    """The phase's learning rate times the recipe's schedule, after a linear rise where there is one.

    Args:
        recipe: Says how many epochs, and how high.
        phase: "float" or "finetune".
        done: Epochs of this phase that are done, with fractions.
        step: What one batch adds to `done`.

    Raises:
        InputError: There is no such schedule, it does not take its arguments, or what it gives is no number >= 0.

    Example:
        >>> recipe = Recipe(training={"epochs": 2, "lr": 0.5})
        >>> [round(learning_rate(recipe, "float", done, 0.5), 3) for done in (0, 0.5, 1, 1.5)]
        [0.5, 0.427, 0.25, 0.073]
    """
    settings = recipe.training
    finetune = phase == FINETUNE
    first, epochs = (settings.finetune_lr, settings.finetune_epochs) if finetune else (settings.lr, settings.epochs)
    factor = names.make(
        settings.schedule, SCHEDULES, "schedule", settings.schedule_args, done=done, epochs=float(epochs)
    )
    if not isinstance(factor, (int, float)) or not math.isfinite(factor) or factor < 0:
        raise InputError(f"schedule {settings.schedule!r} gives {factor!r}, and must give a number >= 0")
    rate = first * factor
    if settings.warmup_epochs and not finetune:
        rate *= min(1.0, (done + step) / settings.warmup_epochs)
    return rate
