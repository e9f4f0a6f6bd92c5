"""The training loop: real numbers first, then the chip's integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from pumice.data import ImageDataset
from pumice.errors import FileFormatError, InputError
from pumice.train.build import deploy, prepare_data
from pumice.train.checkpoint import Checkpoint, excerpt, save_checkpoint
from pumice.train.epoch import batches_per_epoch, train_epoch
from pumice.train.folders import make_folder
from pumice.train.history import FINETUNE, FLOAT, EpochRecord
from pumice.train.recipe import Recipe
from pumice.train.threads import cpu_threads
from pumice.train.trained import Trained, restore, start


def _ignore(*_: Any) -> None:
    """The callback of a caller who does not ask for one."""


def train(
    recipe: Recipe,
    dataset: ImageDataset,
    *,
    checkpoint_path: str | Path | None = None,
    resume_from: Checkpoint | None = None,
    on_epoch: Callable[[EpochRecord], None] = _ignore,
    on_batch: Callable[[], None] = _ignore,
) -> Trained:
    """Train a network: `epochs` in real numbers, deploy it, then `finetune_epochs` through the chip's integers.

    The same recipe on the same machine gives bit-identical weights, also when a run was interrupted between
    two epochs and resumed.

    Args:
        recipe: What to train.
        dataset: The data that the recipe names, see `pumice.data.load_dataset`.
        checkpoint_path: Written after every epoch; its folder is made if need be.
        resume_from: Continue this run; its recipe must be the same.
        on_epoch: Called after every epoch, once its checkpoint is written.
        on_batch: Called after every batch.

    Raises:
        InputError: The loss is not finite, or the checkpoint is of another recipe.
        LoweringError: The network cannot be deployed.
    """
    trained = start(recipe, dataset) if resume_from is None else _resumed(recipe, dataset, resume_from)
    optimizer = _optimizer(trained)
    if resume_from is not None:
        _load_optimizer(optimizer, resume_from)
    if checkpoint_path is not None:
        make_folder(Path(checkpoint_path).parent)
    for phase, epoch in _plan(recipe)[len(trained.history) :]:
        if (phase, epoch) == (FINETUNE, 1):
            deploy(trained.model, recipe, trained.dataset)
            optimizer = _optimizer(trained)
        with cpu_threads(recipe.training.threads):
            record = train_epoch(trained, optimizer, phase, epoch, on_batch)
        trained.history = (*trained.history, record)
        if checkpoint_path is not None:
            save_checkpoint(_snapshot(trained, optimizer), checkpoint_path)
        on_epoch(record)
    trained.model.eval()
    return trained


def _plan(recipe: Recipe) -> list[tuple[str, int]]:
    """Every epoch's phase and number within its phase."""
    floats = [(FLOAT, epoch) for epoch in range(1, recipe.training.epochs + 1)]
    return floats + [(FINETUNE, epoch) for epoch in range(1, recipe.training.finetune_epochs + 1)]


def total_batches(recipe: Recipe, dataset: ImageDataset, *, epochs_done: int = 0) -> int:
    """How many times `train` will call `on_batch`.

    Args:
        recipe: What to train.
        dataset: The data that the recipe names.
        epochs_done: Epochs that a checkpoint already holds.

    Example:
        >>> from pumice.data import load_dataset
        >>> total_batches(Recipe(), load_dataset("digits"), epochs_done=23)
        23
    """
    return (len(_plan(recipe)) - epochs_done) * batches_per_epoch(recipe, prepare_data(recipe, dataset))


def _snapshot(trained: Trained, optimizer: torch.optim.Optimizer) -> Checkpoint:
    return Checkpoint(
        recipe=trained.recipe,
        excerpt=excerpt(trained.dataset),
        history=trained.history,
        model_state=trained.model.state_dict(),
        optimizer_state=optimizer.state_dict(),
    )


def _optimizer(trained: Trained) -> torch.optim.Optimizer:
    settings = trained.recipe.training
    return torch.optim.AdamW(trained.model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)


def _resumed(recipe: Recipe, dataset: ImageDataset, checkpoint: Checkpoint) -> Trained:
    if recipe != checkpoint.recipe:
        keys = ", ".join(_different_keys(recipe.model_dump(), checkpoint.recipe.model_dump()))
        raise InputError(
            f"the checkpoint was made with another recipe ({keys} differ); resume with the same recipe and "
            "settings, or train anew to another place"
        )
    return restore(checkpoint, dataset)


def _different_keys(a: dict[str, Any], b: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key in {**a, **b}:
        mine, theirs = a.get(key), b.get(key)
        if isinstance(mine, dict) and isinstance(theirs, dict):
            yield from _different_keys(mine, theirs, f"{prefix}{key}.")
        elif mine != theirs:
            yield prefix + key


def _load_optimizer(optimizer: torch.optim.Optimizer, checkpoint: Checkpoint) -> None:
    try:
        optimizer.load_state_dict(checkpoint.optimizer_state)
    except (KeyError, ValueError, TypeError) as error:
        raise FileFormatError(f"the checkpoint's optimiser state does not fit its network: {error}") from error
