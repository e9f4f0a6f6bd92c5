"""Begin with what another run has learned, and keep a part of it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import torch

from pumice.errors import InputError, PumiceWarning
from pumice.train.checkpoint import load_checkpoint

SHOWN = 4
"""Names that a notice gives."""


def begin_with_(model: torch.nn.Module, path: str | Path) -> None:
    """Load the weights and statistics of another run's checkpoint, as far as their names and shapes fit.

    A checkpoint of fine-tuning begins the network with its real weights; the network computes in real numbers again.

    Args:
        model: Changed in place; what does not fit stays as drawn.
        path: Of the checkpoint.

    Raises:
        FileFormatError: The file is no checkpoint.
        InputError: Nothing in it fits.

    Example:
        ::

            begin_with_(model, "runs/digits/checkpoint.pt")
    """
    saved, own = load_checkpoint(path).model_state, model.state_dict()
    of_today = {name: re.sub(r"(^|\.)arm(s?)\.", r"\1synapse\2.", name) for name in saved}
    saved = {of_today[name] if of_today[name] in own else name: value for name, value in saved.items()}
    learned = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    fixed = {name for name, _ in model.named_parameters()} - learned  # decays, which the recipe states
    fitting = {
        name: saved[name]
        for name, value in own.items()
        if name in saved and name not in fixed and saved[name].shape == value.shape
    }
    if not learned & fitting.keys():
        raise InputError(
            f"network.weights: {path} holds no weight that fits: it has {_some(saved)}, the network {_some(own)}"
        )
    if drawn := sorted(learned - fitting.keys()):
        warnings.warn(
            f"network.weights: {len(drawn)} of {len(learned)} parameters are not in {path}, or of another shape, and "
            f"begin as drawn: {_some(drawn)}",
            PumiceWarning,
            stacklevel=3,
        )
    model.load_state_dict({**own, **fitting})


def freeze_(model: torch.nn.Module, patterns: Sequence[str]) -> None:
    """Let parameters not learn, by their names; nothing is frozen if a pattern is refused.

    Args:
        model: Changed in place.
        patterns: Of names, with * and ?, such as "body.*".

    Raises:
        InputError: A pattern fits no parameter, or nothing is left to learn.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
        >>> freeze_(model, ["0.*"])
        >>> [name for name, p in model.named_parameters() if p.requires_grad]
        ['1.weight', '1.bias']
    """
    named, chosen = dict(model.named_parameters()), set()
    for pattern in patterns:
        fitting = {name for name in named if fnmatchcase(name, pattern)}
        if not fitting:
            raise InputError(f"training.freeze: {pattern!r} fits no parameter; there are: {_some(named)}")
        chosen |= fitting
    if patterns and not any(parameter.requires_grad for name, parameter in named.items() if name not in chosen):
        raise InputError(f"training.freeze: {list(patterns)} leave no parameter to learn")
    for name in chosen:
        named[name].requires_grad_(False)


def train_mode_(model: torch.nn.Module, patterns: Sequence[str]) -> None:
    """Training mode; but a module all of whose parameters are frozen by a pattern keeps its statistics, too.

    Args:
        model: Changed in place.
        patterns: As for `freeze_`.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1))
        >>> train_mode_(model, ["0.*"])
        >>> [module.training for module in model]
        [False, True]
    """
    model.train()
    for place, module in model.named_modules() if patterns else ():
        names = [f"{place}.{name}".lstrip(".") for name, _ in module.named_parameters()]
        if names and all(any(fnmatchcase(name, pattern) for pattern in patterns) for name in names):
            module.eval()


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:SHOWN]) + (f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else "")
