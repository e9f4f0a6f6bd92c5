"""One epoch: every training sample once, in an order that follows from the seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from pumice.data import Dataset
from pumice.train.batches import Batch, batch_sizes
from pumice.train.history import FLOAT, EpochRecord
from pumice.train.mixing import mixing_of
from pumice.train.position import EpochSums
from pumice.train.recipe import Recipe
from pumice.train.run import Run
from pumice.train.runtime.fabric import gathered
from pumice.train.score import score_of
from pumice.train.step import Step
from pumice.train.validation import validate
from pumice.train.warm_start import train_mode_


def batches_per_epoch(recipe: Recipe, dataset: Dataset) -> int:
    """How many batches one epoch has, of equal size up to one sample."""
    return len(batch_sizes(len(dataset.train), recipe.training.batch_size))


def train_epoch(run: Run, phase: str, epoch: int) -> EpochRecord:
    """Change the network's weights with each batch of one epoch, or of what is left of it, then test it.

    Args:
        run: The run; its history says which random stream is next, its position where in the epoch it is.
        phase: "float" or "finetune".
        epoch: Counted from 1 within the phase.

    Raises:
        InputError: A number is not finite, or the checkpoint cannot be written.
    """
    trained, position, fabric = run.trained, run.position, run.fabric
    settings = trained.recipe.training
    stream = len(trained.history) + 1
    is_augmented = (epoch if phase == FLOAT else settings.epochs + epoch) <= settings.last_augmented_epoch
    batches = run.batches.epoch(
        stream, position.batches, fabric.global_rank, fabric.world_size, is_augmented=is_augmented
    )
    mixing = mixing_of(trained, epoch, stream) if phase == FLOAT else None
    step = Step(run, phase, epoch)
    train_mode_(trained.model, trained.recipe.training.freeze)
    with step.watching(), _random_stream(run, stream):
        for index, batch in enumerate(batches, start=position.batches):
            own = None if batch.lengths is None else fabric.to_device(batch.lengths)
            x, labels, samples = map(fabric.to_device, (batch.x, batch.labels, batch.samples))
            partners = None
            if mixing is not None:
                x, partners = mixing(x, labels, index)
            stepped = step(index, Batch(x, labels, own, samples, partners))
            position.batches = index + 1
            every = settings.checkpoint_every_steps
            if stepped and every and position.steps % every == 0 and position.batches < step.n_batches:
                step.gather()
                if step.boosting is not None:
                    step.boosting.share()
                position.torch_rng = _rng_state(run)
                run.save()
            run.on_batch()
        step.gather()
    if step.boosting is not None:
        step.boosting.end_epoch()
    sums = position.sums
    with trained.averaged():
        tested = {**trained.test_score(fabric), **validate(trained, step.loss_of, fabric)}
    record = EpochRecord(
        phase,
        epoch,
        loss=sums.loss / sums.samples,
        firing_rates=sums.rates(),
        **{
            "train_accuracy": None,
            "test_accuracy": None,
            **score_of("train", sums.correct, sums.samples, has_targets=trained.dataset.has_targets),
            **tested,
        },
    )
    position.batches, position.torch_rng, position.sums = 0, None, EpochSums()
    return record


@contextmanager
def _random_stream(run: Run, stream: int) -> Iterator[None]:
    """Torch's generators (dropout) as the recipe's seed and the epoch give them, or as they were when interrupted."""
    rank, saved, device = run.fabric.global_rank, run.position.torch_rng, run.fabric.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(_seed_of(run.trained.recipe.seed, stream, rank))
        if saved is not None:
            mine = saved[min(rank, len(saved) - 1)].cpu().clone()  # torch reads a view from its storage's beginning
            if device.type == "cuda":
                torch.cuda.set_rng_state(mine, device)
            else:
                torch.set_rng_state(mine)
        yield


def _seed_of(seed: int, stream: int, rank: int) -> int:
    """One of 32 bits: torch's generator on the CPU draws alike for seeds that differ above them."""
    return int(np.random.SeedSequence([seed, stream, rank]).generate_state(1)[0])


def _rng_state(run: Run) -> torch.Tensor:
    """State of the generator that dropout draws from, one row per process."""
    device = run.fabric.device
    return gathered(run.fabric, torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state())
