"""One step of training: forward and backward pass of a batch, and the optimiser's step where one is due."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from pumice.errors import InputError
from pumice.nn.padding import padded_
from pumice.nn.probes.firing import FiringRates, watch_firing
from pumice.nn.recompute import checkpointed_
from pumice.train.answer import Reader, watch_answer
from pumice.train.batches import Batch, batch_sizes
from pumice.train.boosting import SampleBoosting
from pumice.train.build import build_loss
from pumice.train.finite import LARGEST, FiniteCheck
from pumice.train.history import FLOAT
from pumice.train.learning_rate import learning_rate
from pumice.train.losses.base import WeightedLoss, one_number
from pumice.train.mixing import Partners
from pumice.train.outputs import first_output
from pumice.train.regularizers import make_regularizers
from pumice.train.run import Run
from pumice.train.runtime.fabric import summed
from pumice.train.runtime.precision import fast_convolutions, neurons_in_float32
from pumice.train.score import score_sum

BATCHES_AT_ONCE = 50
"""A GPU is asked for the figures of so many batches together: each question makes it wait."""


def is_asynchronous(device: torch.device) -> bool:
    """Whether work is handed to the device, which goes on alone until it is asked for a number.

    Example:
        >>> is_asynchronous(torch.device("cpu"))
        False
    """
    return device.type == "cuda"


@dataclass
class _Figures:
    """What a batch tells.

    Attributes:
        index: In the epoch, from 0.
        lr: The learning rate.
        figures: Where they wait on a GPU: whether the input is finite, loss times samples, score, each block's
            spikes, and, of a batch that ends a step, the largest norm of a gradient.
        sizes: Each block's neurons times steps times samples.
        step: Number of the optimiser's step that it ends, if it ends one.
    """

    index: int
    lr: float
    figures: torch.Tensor | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    step: int | None = None


class Step:
    """Takes one batch after the other.

    On a CPU, figures are looked at before the backward pass, and gradients before the optimiser's step. A GPU is
    asked for them once in `BATCHES_AT_ONCE` batches, and before anything is saved; what is not finite is found then.

    Args:
        run: The run.
        phase: "float" or "finetune".
        epoch: Counted from 1 within the phase.
    """

    def __init__(self, run: Run, phase: str, epoch: int) -> None:
        recipe = run.trained.recipe
        self._run, self._phase, self._epoch = run, phase, epoch
        self._sizes = batch_sizes(len(run.trained.dataset.train), recipe.training.batch_size)
        self.n_batches = len(self._sizes)
        self.loss_of = build_loss(recipe, run.trained.dataset)
        self.boosting = None if recipe.training.sample_boosting is None else SampleBoosting(run)
        self._penalties = []
        if recipe.training.regularizers:
            example = run.fabric.to_device(run.trained.example)
            self._penalties = make_regularizers(recipe.training.regularizers, run.trained.model, example)
        self._finite = FiniteCheck(run.trained.model)
        self._firing = FiringRates()
        self._answer_of: Reader
        self._group = (0.0, 0.0, 0)  # loss, score and samples since the last step of the optimiser
        self._waits = is_asynchronous(run.fabric.device)
        self._waiting: list[_Figures] = []
        self._graphs = run.graphs if phase == FLOAT and self._waits else None
        if self._graphs is not None:
            self._check_replay()

    def _check_replay(self) -> None:
        """Each batch must be a step of the optimiser of its own, and the same work, on one GPU."""
        run, training = self._run, self._run.trained.recipe.training
        for refused, why in (
            (training.accumulate > 1, "training.accumulate is 1"),
            (run.fabric.world_size > 1, "compute.devices is 1"),
            (self.boosting is not None, "samples are not weighed (training.sample_boosting)"),
            (self.loss_of.changes, "the loss does not change while it trains"),
            (
                any(getattr(module, "persistent_state", False) for module in run.trained.model.modules()),
                "no neuron carries its state from batch to batch (persistent_state)",
            ),
        ):
            if refused:
                raise InputError(f"compute.cuda_graphs works where {why}; leave it out")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the network's spikes, and what the loss reads."""
        model, wanted = self._run.trained.model, self._run.trained.recipe.compute
        with (
            fast_convolutions(self._run.fabric.device),
            neurons_in_float32(model),
            watch_firing(model, keeps_latest=bool(self._penalties)) as self._firing,
            checkpointed_(model) if wanted.checkpointing else nullcontext(),
            watch_answer(model, self.loss_of) as self._answer_of,
        ):
            yield

    def __call__(self, index: int, given: Batch) -> bool:
        """Take batch `index`; return whether the optimiser made a step."""
        run, position = self._run, self._run.position
        # The batches of one step count by their samples, and so do the processes' shares of a batch.
        first = index - index % run.trained.recipe.training.accumulate
        group = self._sizes[first : first + run.trained.recipe.training.accumulate]
        is_due = index + 1 - first == len(group)
        batch = _Figures(index, self._set_progress(index))
        if self._graphs is not None and given.lengths is None:
            inputs = given.x, given.labels, *(given.partners or ())
            batch.figures, batch.sizes = self._graphs.run(self._recorded_passes, *inputs)
        else:
            self._passes(batch, given, sum(group), is_due=is_due)
        if is_due:
            self._step(batch)
            position.steps += 1
            batch.step = position.steps
        if self._waits:
            self._waiting.append(batch)
            if len(self._waiting) >= BATCHES_AT_ONCE:
                self.gather()
        else:
            self._log(batch)
        return is_due

    def _passes(self, batch: _Figures, given: Batch, n_together: int, *, is_due: bool) -> None:
        """Forward and backward pass of a batch, one of those that are `n_together` samples."""
        run, fabric, (x, labels, lengths, samples, partners) = self._run, self._run.fabric, given
        self._firing.lengths = lengths
        with (
            fabric.no_backward_sync(run.model, enabled=not is_due),
            padded_(run.trained.model, lengths, x.shape[-1]),  # also backwards, where checkpointing computes again
        ):
            output = run.model(x)
            answer = self._answer_of(output)
            if self.boosting is not None:
                self.boosting.note(output, labels, lengths, samples)
                answer = self.boosting.scaled(answer, samples)
            loss = self._loss(answer, labels, lengths, self._sizes[batch.index])
            if partners is not None:
                other = self._loss(answer, partners.labels, lengths, self._sizes[batch.index])
                loss = partners.shared(loss, other)
            for penalty in self._penalties:
                spikes = {name: layer.float() for name, layer in self._firing.latest.items()}
                loss = loss + one_number(penalty(spikes), "a regularizer of training.regularizers")
            if not loss.requires_grad:
                raise InputError(
                    "training.loss gives a number without a gradient; compute it from the network's output"
                )
            fired = self._firing.take()
            batch.sizes = {name: size for name, (_, size) in fired.items()}
            seen = labels if partners is None else partners.seen(labels)
            score = score_sum(first_output(output).detach(), seen, lengths)
            figures = [loss.detach().double() * len(labels), score, *(total for total, _ in fired.values())]
            if self._waits:
                figures = [torch.isfinite(x).all(), *figures]
                batch.figures = torch.stack([torch.as_tensor(f, device=x.device).double() for f in figures])
            else:
                sums = summed(fabric, [*map(float, figures), *map(float, batch.sizes.values())])
                self._count(batch, sums, lambda: bool(torch.isfinite(x).all()))
            fabric.backward(loss * (len(labels) * fabric.world_size / n_together))

    def _loss(self, answer: Any, labels: torch.Tensor, lengths: torch.Tensor | None, n_together: int) -> torch.Tensor:
        """The loss of this process's share of a batch of `n_together` samples; their mean is that of the batch."""
        loss = self.loss_of.of_batch(answer, labels, lengths)
        fabric = self._run.fabric
        if fabric.world_size == 1 or not isinstance(self.loss_of, WeightedLoss):
            return loss
        if (weight := self.loss_of.weight_of(labels)) is None:
            return loss
        # A mean weighted by classes is one over the whole batch's weights.
        mine = float(weight)
        return loss * (mine / summed(fabric, [mine])[0] * n_together / len(labels))

    def _recorded_passes(
        self, x: torch.Tensor, labels: torch.Tensor, *partners: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, int]]:
        """The passes of a batch that is a step of its own: figures, and the blocks' sizes."""
        batch = _Figures(0, 0.0)
        given = Batch(x, labels, None, labels, Partners(*partners) if partners else None)
        self._passes(batch, given, len(labels), is_due=True)  # nobody asks which samples they are
        assert batch.figures is not None
        return batch.figures, batch.sizes

    def gather(self) -> None:
        """Bring the figures that wait on the GPU.

        Raises:
            InputError: One is not finite.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        told = torch.cat([batch.figures for batch in waiting if batch.figures is not None]).tolist()
        of_device: list[list[float]] = []
        for batch in waiting:
            n_own = 3 + len(batch.sizes) + (batch.step is not None)
            of_device.append(told[:n_own])
            told = told[n_own:]
        shared = [
            f
            for b, own in zip(waiting, of_device, strict=True)
            for f in (*own[1 : 3 + len(b.sizes)], *b.sizes.values())
        ]
        figures = summed(self._run.fabric, shared)
        for batch, own in zip(waiting, of_device, strict=True):
            n_own = 2 + 2 * len(batch.sizes)
            self._count(batch, figures[:n_own], partial(bool, own[0]))
            figures = figures[n_own:]
            if batch.step is not None and not own[-1] <= LARGEST:
                raise self._diverged(f"the largest norm of a gradient is {own[-1]:.1e}", batch)
            self._log(batch)
        if (found := self._finite.weights()) is not None:  # before anything is saved
            raise self._diverged(found, waiting[-1])

    def _step(self, batch: _Figures) -> None:
        """Make the optimiser's step, unless gradients, or the weights behind it, are not finite."""
        run, most = self._run, self._run.trained.recipe.training.clip_norm
        if batch.figures is not None:
            batch.figures = torch.cat([batch.figures, self._finite.largest_gradient().double()[None]])
        elif (found := self._finite.gradients()) is not None:
            raise self._diverged(f"the {found}", batch)
        if most is not None:
            run.fabric.clip_gradients(run.model, run.optimizer, max_norm=most, error_if_nonfinite=not self._waits)
        run.optimizer.step()
        run.optimizer.zero_grad()
        if run.trained.average is not None:
            run.trained.average.update()
        if not self._waits and (found := self._finite.weights()) is not None:
            raise self._diverged(found, batch)

    def _diverged(self, what: str, batch: _Figures) -> InputError:
        step = batch.step or self._run.position.steps + 1
        return InputError(
            f"training diverged: {what} in {self._phase} epoch {self._epoch}, batch {batch.index + 1} of "
            f"{self.n_batches}, step {step}; use a smaller learning rate (training.lr, training.finetune_lr) "
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

    def _count(self, batch: _Figures, figures: list[float], is_finite: Callable[[], bool]) -> None:
        """Add the batch's figures, of all processes, to the epoch's."""
        sums, samples = self._run.position.sums, self._sizes[batch.index]
        loss_sum, correct = figures[:2]
        totals, sizes = figures[2 : 2 + len(batch.sizes)], figures[2 + len(batch.sizes) :]
        if not all(map(math.isfinite, figures)):
            blocks = [name for name, total in zip(batch.sizes, totals, strict=True) if not math.isfinite(total)]
            raise self._diverged(f"the loss is {loss_sum / samples} ({self._origin(blocks, is_finite)})", batch)
        sums.loss, sums.correct, sums.samples = sums.loss + loss_sum, sums.correct + correct, sums.samples + samples
        for name, total, size in zip(batch.sizes, totals, sizes, strict=True):
            sums.spikes[name] = sums.spikes.get(name, 0.0) + total
            sums.sizes[name] = sums.sizes.get(name, 0) + round(size)
        before = self._group
        self._group = before[0] + loss_sum, before[1] + correct, before[2] + samples

    def _log(self, batch: _Figures) -> None:
        """Note the optimiser's step that the batch ended, if it did."""
        if batch.step is None:
            return
        loss_sum, correct, samples = self._group
        self._run.logs.step(
            batch.step,
            self._phase,
            self._epoch,
            batch.index + 1,
            lr=batch.lr,
            loss=loss_sum / samples,
            accuracy=None if self._run.trained.dataset.has_targets else correct / samples,
        )
        self._group = (0.0, 0.0, 0)

    def _origin(self, blocks: list[str], is_finite: Callable[[], bool]) -> str:
        """What in the forward pass is not finite first, as far as that is known; `is_finite` says it of the input."""
        if not is_finite():
            return "the batch itself is not finite: check the data"
        if not self._waits and (found := self._finite.weights()) is not None:  # else it may have become so since
            return found
        return f"block {blocks[0]!r} is the first to give it" if blocks else "all blocks' spikes are finite"
