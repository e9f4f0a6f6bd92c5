"""One epoch: every training sample once, in an order that follows from the seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from pumice.data import ImageDataset
from pumice.data.augment import add_noise
from pumice.errors import InputError
from pumice.train.evaluate import to_tensor
from pumice.train.firing import watch_firing
from pumice.train.history import FINETUNE, EpochRecord
from pumice.train.losses import make_loss
from pumice.train.recipe import Recipe
from pumice.train.trained import Trained


def batches_per_epoch(recipe: Recipe, dataset: ImageDataset) -> int:
    """How many batches one epoch has, of equal size up to one sample."""
    return -(-len(dataset.train) // recipe.training.batch_size)


def train_epoch(
    trained: Trained, optimizer: torch.optim.Optimizer, phase: str, epoch: int, on_batch: Callable[[], None]
) -> EpochRecord:
    """Change the network's weights with each batch of one epoch, then test it.

    Args:
        trained: The network; its history says which random stream is next.
        optimizer: Holds the network's parameters.
        phase: "float" or "finetune".
        epoch: Counted from 1 within the phase.
        on_batch: Called after every batch.

    Raises:
        InputError: The loss is not finite.
    """
    recipe, model = trained.recipe, trained.model
    loss_of = make_loss(recipe.training.loss, **recipe.training.loss_args)
    mean_loss, accuracy = MeanMetric(), MulticlassAccuracy(len(trained.dataset.class_names), average="micro")
    # Each epoch has a random stream of its own, so that a resumed run needs no generator's state.
    stream = len(trained.history) + 1
    n_batches = batches_per_epoch(trained.recipe, trained.dataset)
    model.train()
    with watch_firing(model) as firing, torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed + (stream << 32))
        for index, (x, labels) in enumerate(_batches(trained, stream)):
            _set_learning_rate(optimizer, trained, phase, done=epoch - 1 + index / n_batches)
            spikes = model(x)
            loss = loss_of(spikes, labels)
            if not torch.isfinite(loss):
                raise InputError(
                    f"training diverged: the loss is {loss.item()} in {phase} epoch {epoch}, batch {index + 1} of "
                    f"{n_batches}; use a smaller learning rate (training.lr, training.finetune_lr)"
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            mean_loss.update(loss.detach(), len(labels))
            accuracy.update(spikes.detach().sum(-1).argmax(1), labels)
            on_batch()
    return EpochRecord(
        phase,
        epoch,
        loss=float(mean_loss.compute()),
        train_accuracy=float(accuracy.compute()),
        test_accuracy=trained.test_accuracy(),
        firing_rates=firing.rates(),
    )


def _batches(trained: Trained, stream: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    split, encoder = trained.dataset.train, trained.encoder
    rng = np.random.default_rng([trained.recipe.seed, stream])
    for chosen in np.array_split(rng.permutation(len(split)), batches_per_epoch(trained.recipe, trained.dataset)):
        images = add_noise(split.images[chosen], trained.recipe.data.noise, trained.dataset.value_range, rng)
        yield to_tensor(encoder.encode(images, rng)), torch.from_numpy(split.labels[chosen].astype(np.int64))


def _set_learning_rate(optimizer: torch.optim.Optimizer, trained: Trained, phase: str, done: float) -> None:
    """Half a cosine from the phase's learning rate to 0; `done` counts epochs."""
    settings = trained.recipe.training
    finetune = phase == FINETUNE
    first, epochs = (settings.finetune_lr, settings.finetune_epochs) if finetune else (settings.lr, settings.epochs)
    for group in optimizer.param_groups:
        group["lr"] = first * (1 + math.cos(math.pi * done / epochs)) / 2
