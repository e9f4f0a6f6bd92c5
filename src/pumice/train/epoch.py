"""One epoch: every training sample once, in an order that follows from the seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from pumice.data import Dataset
from pumice.errors import InputError
from pumice.nn.padding import padded_
from pumice.nn.probes.firing import FiringRates, watch_firing
from pumice.train.answer import Reader, watch_answer
from pumice.train.batches import batch_sizes, epoch_batches
from pumice.train.build import build_loss
from pumice.train.finite import FiniteCheck
from pumice.train.history import FLOAT, EpochRecord
from pumice.train.learning_rate import learning_rate
from pumice.train.logs import RunLogs
from pumice.train.losses.base import one_number
from pumice.train.outputs import first_output
from pumice.train.position import EpochSums, Position
from pumice.train.recipe import Recipe
from pumice.train.regularizers import make_regularizers
from pumice.train.runtime.fabric import gathered, summed
from pumice.train.runtime.precision import neurons_in_float32
from pumice.train.score import score_of, score_sum
from pumice.train.trained import Trained
from pumice.train.validation import validate
from pumice.train.warm_start import train_mode_

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def batches_per_epoch(recipe: Recipe, dataset: Dataset) -> int:
    """How many batches one epoch has, of equal size up to one sample."""
    return len(batch_sizes(len(dataset.train), recipe.training.batch_size))


@dataclass(eq=False)
class Run:
    """A training run in one phase.

    Attributes:
        trained: The network, with its history.
        fabric: Device, precision, processes.
        model: The network as Fabric wraps it.
        optimizer: The optimiser as Fabric wraps it.
        position: Where the run is.
        logs: Where figures go.
        save: Writes the checkpoint.
        on_batch: Called after every batch.
    """

    trained: Trained
    fabric: Fabric
    model: Any
    optimizer: Any
    position: Position
    logs: RunLogs
    save: Callable[[], None]
    on_batch: Callable[[], None]


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
    batches = epoch_batches(trained, stream, first=position.batches, rank=fabric.global_rank, world=fabric.world_size)
    step = _Step(run, phase, epoch)
    train_mode_(trained.model, trained.recipe.training.freeze)
    with step.watching(), _random_stream(run, stream):
        for index, (x, labels, lengths) in enumerate(batches, start=position.batches):
            own = None if lengths is None else fabric.to_device(lengths)
            stepped = step(index, fabric.to_device(x), fabric.to_device(labels), own)
            position.batches = index + 1
            every = settings.checkpoint_every_steps
            if stepped and every and position.steps % every == 0 and position.batches < step.n_batches:
                position.torch_rng = _rng_state(run)
                run.save()
            run.on_batch()
    sums = position.sums
    record = EpochRecord(
        phase,
        epoch,
        loss=sums.loss / sums.samples,
        firing_rates=sums.rates(),
        **{
            "train_accuracy": None,
            "test_accuracy": None,
            **score_of("train", sums.correct, sums.samples, has_targets=trained.dataset.has_targets),
            **trained.test_score(fabric),
            **validate(trained, step.loss_of, fabric),
        },
    )
    position.batches, position.torch_rng, position.sums = 0, None, EpochSums()
    return record


class _Step:
    """Forward and backward pass of one batch, and the optimiser's step where one is due."""

    def __init__(self, run: Run, phase: str, epoch: int) -> None:
        recipe = run.trained.recipe
        self._run, self._phase, self._epoch = run, phase, epoch
        self._sizes = batch_sizes(len(run.trained.dataset.train), recipe.training.batch_size)
        self.n_batches = len(self._sizes)
        self.loss_of = build_loss(recipe, run.trained.dataset)
        self._penalties = []
        if recipe.training.regularizers:
            example = run.fabric.to_device(run.trained.example)
            self._penalties = make_regularizers(recipe.training.regularizers, run.trained.model, example)
        self._finite = FiniteCheck(run.trained.model)
        self._firing = FiringRates()
        self._answer_of: Reader
        self._group = (0.0, 0.0, 0)  # loss, score and samples since the last step of the optimiser

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the network's spikes, and what the loss reads."""
        model = self._run.trained.model
        with (
            neurons_in_float32(model),
            watch_firing(model) as self._firing,
            watch_answer(model, self.loss_of) as self._answer_of,
        ):
            yield

    def __call__(self, index: int, x: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor | None) -> bool:
        """Take batch `index`; return whether the optimiser made a step."""
        run, position = self._run, self._run.position
        fabric, training = run.fabric, run.trained.recipe.training
        # The batches of one step count by their samples, and so do the processes' shares of a batch.
        first = index - index % training.accumulate
        group = self._sizes[first : first + training.accumulate]
        is_due = index + 1 - first == len(group)
        lr = self._set_progress(index)
        self._firing.lengths = lengths
        with (
            fabric.no_backward_sync(run.model, enabled=not is_due),
            padded_(run.trained.model, lengths, x.shape[-1]),  # also backwards, where checkpointing computes again
        ):
            output = run.model(x)
            loss = self.loss_of.of_batch(self._answer_of(output), labels, lengths)
            for penalty in self._penalties:
                loss = loss + one_number(penalty(self._firing.latest), "a regularizer of training.regularizers")
            if not loss.requires_grad:
                raise InputError(
                    "training.loss gives a number without a gradient; compute it from the network's output"
                )
            self._count(loss, score_sum(first_output(output).detach(), labels, lengths), len(labels), x, index)
            fabric.backward(loss * (len(labels) * fabric.world_size / sum(group)))
        if is_due:
            self._step(index)
            position.steps += 1
            loss_sum, correct, samples = self._group
            run.logs.step(
                position.steps,
                self._phase,
                self._epoch,
                index + 1,
                lr=lr,
                loss=loss_sum / samples,
                accuracy=None if run.trained.dataset.has_targets else correct / samples,
            )
            self._group = (0.0, 0.0, 0)
        return is_due

    def _step(self, index: int) -> None:
        """Make the optimiser's step, unless gradients, or the weights behind it, are not finite."""
        run, most = self._run, self._run.trained.recipe.training.clip_norm
        if (found := self._finite.gradients()) is not None:
            raise self._diverged(f"the {found}", index)
        if most is not None:
            run.fabric.clip_gradients(run.model, run.optimizer, max_norm=most)
        run.optimizer.step()
        run.optimizer.zero_grad()
        if (found := self._finite.weights()) is not None:
            raise self._diverged(found, index)

    def _diverged(self, what: str, index: int) -> InputError:
        return InputError(
            f"training diverged: {what} in {self._phase} epoch {self._epoch}, batch {index + 1} of {self.n_batches}, "
            f"step {self._run.position.steps + 1}; use a smaller learning rate (training.lr, training.finetune_lr) "
            "or clip gradients (training.clip_norm); the last checkpoint is from before"
        )

    def _set_progress(self, index: int) -> float:
        """Set what changes from batch to batch; return the learning rate."""
        recipe, done = self._run.trained.recipe, self._epoch - 1 + index / self.n_batches
        if self._phase == FLOAT:
            self.loss_of.at(done / recipe.training.epochs)
        lr = learning_rate(recipe, self._phase, done, 1 / self.n_batches)
        for group in self._run.optimizer.param_groups:
            group["lr"] = lr * group.get("lr_scale", 1.0)
        return lr

    def _count(self, loss: torch.Tensor, score: float, mine: int, x: torch.Tensor, index: int) -> None:
        """Add the batch's figures, of all processes, to the epoch's."""
        sums, samples = self._run.position.sums, self._sizes[index]
        fired = self._firing.take()
        figures = [
            float(loss.detach()) * mine,
            score,
            *(total for total, _ in fired.values()),
            *(float(size) for _, size in fired.values()),
        ]
        figures = summed(self._run.fabric, figures)
        loss_sum, correct = figures[:2]
        totals, sizes = figures[2 : 2 + len(fired)], figures[2 + len(fired) :]
        if not all(map(math.isfinite, figures)):
            blocks = [name for name, total in zip(fired, totals, strict=True) if not math.isfinite(total)]
            raise self._diverged(f"the loss is {loss_sum / samples} ({self._origin(x, blocks)})", index)
        sums.loss, sums.correct, sums.samples = sums.loss + loss_sum, sums.correct + correct, sums.samples + samples
        for name, total, size in zip(fired, totals, sizes, strict=True):
            sums.spikes[name] = sums.spikes.get(name, 0.0) + total
            sums.sizes[name] = sums.sizes.get(name, 0) + round(size)
        before = self._group
        self._group = before[0] + loss_sum, before[1] + correct, before[2] + samples

    def _origin(self, x: torch.Tensor, blocks: list[str]) -> str:
        """What in the forward pass is not finite first, as far as that is known."""
        if not bool(torch.isfinite(x).all()):
            return "the batch itself is not finite: check the data"
        if (found := self._finite.weights()) is not None:
            return found
        return f"block {blocks[0]!r} is the first to give it" if blocks else "all blocks' spikes are finite"


@contextmanager
def _random_stream(run: Run, stream: int) -> Iterator[None]:
    """Torch's generators (dropout) as the recipe's seed and the epoch give them, or as they were when interrupted."""
    rank, saved, device = run.fabric.global_rank, run.position.torch_rng, run.fabric.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(run.trained.recipe.seed + (stream << 32) + (rank << 48))
        if saved is not None:
            mine = saved[min(rank, len(saved) - 1)].cpu()
            if device.type == "cuda":
                torch.cuda.set_rng_state(mine, device)
            else:
                torch.set_rng_state(mine)
        yield


def _rng_state(run: Run) -> torch.Tensor:
    """State of the generator that dropout draws from, one row per process."""
    device = run.fabric.device
    return gathered(run.fabric, torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state())
