"""Figures of a training for a tracker that the user has: Weights & Biases, MLflow, a logger of Lightning."""

from __future__ import annotations

from typing import Any, Protocol

from pumice.errors import InputError


class LogFunction(Protocol):
    """Takes figures by name, and the step that they are of."""

    def __call__(self, figures: dict[str, float], *, step: int) -> Any:
        """Take them."""


def log_function(logger: Any) -> LogFunction:
    """How a logger is told figures.

    None of these packages is imported here: what counts is the method.

    Args:
        logger: An object with `log(figures, step=)`, as a run of Weights & Biases has it (`wandb.init(...)`), or with
            `log_metrics(figures, step=)`, as the module `mlflow` and Lightning's loggers.

    Raises:
        InputError: It has neither.

    Example:
        >>> class Printer:
        ...     def log(self, figures, step):
        ...         print(step, figures)
        >>> log_function(Printer())({"step/loss": 0.5}, step=3)
        3 {'step/loss': 0.5}
        >>> log_function(3)
        Traceback (most recent call last):
        pumice.errors.InputError: logger must have log(figures, step=) or log_metrics(figures, step=), got int
    """
    for name in ("log", "log_metrics"):
        found = getattr(logger, name, None)
        if callable(found):
            function: LogFunction = found
            return function
    raise InputError(
        f"logger must have log(figures, step=) or log_metrics(figures, step=), got {type(logger).__name__}"
    )
