"""The training loop: real numbers first, then the chip's integers."""

from __future__ import annotations

import copy
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pumice.backends.ranks import lost_processes_told
from pumice.data import Dataset
from pumice.data.recipe import prepare_data
from pumice.errors import InputError
from pumice.files.lock import locked_folder
from pumice.files.write import remove_left_over
from pumice.names import counted
from pumice.nn import synchronize_norms_
from pumice.nn.blocks.surrogate_module import freeze_surrogates_
from pumice.train.averaging import WeightAverage
from pumice.train.batches import batch_sizes
from pumice.train.batches_on_device import batches_on
from pumice.train.build import check_data_keys, check_phases, deploy, example_input
from pumice.train.checkpoint import Checkpoint, Learning, excerpt, kept_kind, save_checkpoint
from pumice.train.epoch import batches_per_epoch, train_epoch
from pumice.train.history import FINETUNE, FLOAT, EpochRecord
from pumice.train.initialize import initialize_by_data_
from pumice.train.loggers import log_function
from pumice.train.logs import RunLogs
from pumice.train.moment_preserving import moment_preserving_
from pumice.train.next_epoch import kept_record, next_epoch, stops_early
from pumice.train.optimizer import load_optimizer_state, make_optimizer
from pumice.train.position import Position
from pumice.train.recipe import Recipe
from pumice.train.recipe.differences import different_keys
from pumice.train.run import Run
from pumice.train.runtime.cuda_graph import CudaGraphs
from pumice.train.runtime.fabric import check_alike, is_first_process, make_fabric
from pumice.train.runtime.memory import keep_large_tensors
from pumice.train.runtime.threads import cpu_threads
from pumice.train.stuck import warn_of_stuck_layers
from pumice.train.trained import Trained, restore, start, with_given_network
from pumice.train.warm_start import begin_with_, freeze_

# What may differ between a run and its continuation: it changes no bit of the result.
FREE_TO_CHANGE = {
    *("data.workers", "data.cache", "training.checkpoint_every_steps", "logging.tensorboard"),
    "compute.checkpointing",
}
EXTENDABLE = {
    f"training.{key}"
    for key in (
        *("epochs", "finetune_epochs", "lr", "finetune_lr", "schedule", "schedule_args", "warmup_epochs", "delay_lr"),
        *("weight_decay", "clip_norm", "accumulate", "loss", "loss_args", "class_weights", "regularizers"),
        *("early_stopping", "mixup", "cutmix", "mixing_until", "no_augment_epochs"),
    )
}
"""What a finished run may go on with in another way."""


def _ignore(*_: Any) -> None:
    """The callback of a caller who does not ask for one."""


def train(
    recipe: Recipe,
    dataset: Dataset,
    *,
    model: torch.nn.Module | None = None,
    checkpoint_path: str | Path | None = None,
    resume_from: Checkpoint | None = None,
    extend: bool = False,
    on_epoch: Callable[[EpochRecord], None] = _ignore,
    on_batch: Callable[[], None] = _ignore,
    logger: Any = None,
) -> Trained:
    """Train a network: `epochs` in real numbers, deploy it, then `finetune_epochs` through the chip's integers.

    The same recipe on the same machine gives bit-identical weights and logs, also when a run was interrupted,
    wherever that was, and resumed from its last checkpoint. With several processes (see `make_fabric`) the
    weights are those of one process up to rounding: a batch is the same samples, `TDBN` normalises over all of
    them, and gradients are averaged. There are three exceptions: dropout is drawn anew in each process; the
    regularizers `activity` and `planned_cost`, and `synaptic_events` of samples of unequal length, look at the rates
    of each process's share, within which mixup and CutMix find their pairs.
    On a GPU, sums may differ in the last bits from run to run, unless `torch.backends.cudnn.deterministic` is set
    before.

    With `training.ema`, what is tested, validated, kept, fine-tuned, returned and written as a checkpoint's weights
    is the average of the weights; an unfinished run's checkpoint has the weights that learn beside it, a finished one
    goes on (`extend`) from its average.

    Args:
        recipe: What to train.
        dataset: The data that the recipe names, see `pumice.data.load_dataset`.
        model: A network of your own, in place of the recipe's; it is changed in place, and begins with the weights
            that it has. It takes (batch, channel, height, width, time) and returns spikes (batch, class, time), or
            several outputs with them first. To resume it, give a network that is built alike.
        checkpoint_path: Written after every epoch (and every so many steps, if the recipe says so); its folder
            is made if need be, and logs go there too.
        resume_from: Continue this run; its recipe must be the same.
        extend: Go on with a run that is finished, under a recipe with more epochs; its learning rates, loss,
            regularizers and the other keys of `EXTENDABLE` may be others, too. Schedules fall over all epochs of a
            phase, those before included.
        on_epoch: Called after every epoch, once its checkpoint is written.
        on_batch: Called after every batch.
        logger: Also gets each step's and each epoch's figures: a run of Weights & Biases (`wandb.init(...)`), the
            module `mlflow`, a logger of Lightning, or any object with `log(figures, step=)` or
            `log_metrics(figures, step=)`. Of several processes, that of the first one is told.

    Raises:
        InputError: The logger takes no figures, a weight, a statistic, a gradient or the loss is not finite, a file
            cannot be written, another run writes to the folder, the device is not there, the checkpoint is of
            another recipe, or another process of the run has ended or begins with something else. The last checkpoint
            is whole then.
        LoweringError: The network cannot be deployed.
    """
    if logger is not None:
        log_function(logger)  # before the work
    keep_large_tensors()
    recipe = with_given_network(recipe, model)
    if resume_from is None:
        trained = start(recipe, dataset, model)
        check_data_keys(recipe, dataset)
        check_phases(trained.model, recipe, trained.dataset)
    else:
        trained = _resumed(recipe, dataset, model, resume_from, extend=extend)
    position = Position() if resume_from is None else resume_from.position.copy()
    path = None if checkpoint_path is None else Path(checkpoint_path)
    logs: RunLogs | None = None
    optimizer_state = None if resume_from is None else resume_from.optimizer_state
    run: Run | None = None
    with cpu_threads(recipe.training.threads), _only_writer(path), lost_processes_told():
        if resume_from is None and recipe.network.weights is not None:
            begin_with_(trained.model, recipe.network.weights)
        freeze_(trained.model, recipe.training.freeze)  # before anything sets weights
        if resume_from is None:
            _initialize_(trained)
        while (following := next_epoch(recipe, trained.history)) is not None:
            phase, epoch = following
            if (phase, epoch, position.batches) == (FINETUNE, 1, 0):
                _take_best_(trained)
                _release(run)
                deploy(trained.model.cpu(), recipe, trained.dataset)
                optimizer_state = run = None
            if run is None:
                run = _set_up(trained, phase, position, path=path, logs=logs, on_batch=on_batch, logger=logger)
                logs = run.logs
                load_optimizer_state(run.optimizer, optimizer_state)
            record = train_epoch(run, phase, epoch)
            trained.history = (*trained.history, record)
            if recipe.training.keep_best and kept_record(recipe, trained.history, phase) is record:
                trained.best_state = copy.deepcopy(trained.state())
            if next_epoch(recipe, trained.history) is None:
                _take_best_(trained)
            run.logs.epoch(trained.history, position.steps)
            run.save()
            if run.fabric.global_rank == 0:
                warn_of_stuck_layers(trained.history)
            on_epoch(record)
        if logs is not None:
            logs.close()
    _release(run)
    trained.model.cpu().eval()
    return trained


def _initialize_(trained: Trained) -> None:
    """The first weights, where the recipe wants others than those drawn."""
    recipe, training = trained.recipe, trained.recipe.training
    if training.initial_current is None and training.initial_rate is None:
        return
    batch = example_input(recipe, trained.dataset, training.batch_size)
    if training.initial_current is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            moment_preserving_(trained.model, batch, training.initial_current)
    if training.initial_rate is not None:
        lengths = trained.steps_of(trained.dataset.train)
        own = None if lengths is None else torch.from_numpy(lengths[: len(batch)])
        initialize_by_data_(trained.model, batch, training.initial_rate, own)


@contextmanager
def _only_writer(path: Path | None) -> Iterator[None]:
    """Of all runs, the only one that writes to the checkpoint's folder; of several processes, the first holds it."""
    if path is None or not is_first_process():
        yield
        return
    with locked_folder(path.parent):
        remove_left_over(path)  # of a run that was killed while it wrote
        yield


def _release(run: Run | None) -> None:
    """End a phase: what was recorded on a GPU refers to the run, and would outlive it until the next collection."""
    if run is not None and run.graphs is not None:
        run.graphs.clear()


def _take_best_(trained: Trained) -> None:
    """End a phase: the network gets the weights that were kept: the best epoch's, or the averages, if any."""
    if trained.best_state is not None or trained.average is not None:
        trained.model.load_state_dict(trained.best_state or trained.state())
    trained.best_state = trained.average = None


def _set_up(
    trained: Trained,
    phase: str,
    position: Position,
    *,
    path: Path | None,
    logs: RunLogs | None,
    on_batch: Callable[[], None],
    logger: Any,
) -> Run:
    if path is not None:
        kept_kind(trained.dataset)  # before the work
    fabric = make_fabric(trained.recipe, phase)
    check_alike(fabric, _facts(trained, position))
    if fabric.world_size > 1:
        smallest = min(batch_sizes(len(trained.dataset.train), trained.recipe.training.batch_size))
        if smallest < fabric.world_size:
            raise InputError(
                f"batches of {counted(smallest, 'sample')} cannot be shared by {fabric.world_size} processes"
            )
        synchronize_norms_(trained.model)
    if phase == FINETUNE or trained.recipe.training.loss != "surrogate_module":
        freeze_surrogates_(trained.model)
    if logs is None:
        folder = path.parent if path is not None and fabric.global_rank == 0 else None
        told = logger if fabric.global_rank == 0 else None
        so_far = {"log_bytes": position.log_bytes, "steps": position.steps}
        logs = RunLogs(folder, trained.recipe.logging, **so_far, logger=told)
    optimizer = make_optimizer(trained.model, trained.recipe.training)
    with warnings.catch_warnings():
        # The successor of this option would still bring the buffers together once, whatever their shapes.
        warnings.filterwarnings("ignore", message=".*broadcast_buffers")
        model, wrapped = fabric.setup(trained.model, optimizer)

    _average_(trained, fabric.device)

    def save() -> None:
        if path is None or fabric.global_rank != 0:
            return
        position.log_bytes = logs.flush()
        save_checkpoint(_snapshot(trained, wrapped, position), path)

    batches = batches_on(trained, fabric.device)
    wants_graphs = trained.recipe.compute.cuda_graphs and phase == FLOAT
    graphs = CudaGraphs(trained.model) if wants_graphs else None
    return Run(trained, fabric, model, wrapped, position, logs, batches, graphs, save, on_batch)


def _facts(trained: Trained, position: Position) -> str:
    """What of a phase's beginning its processes must have alike; each computes figures for itself."""
    data = trained.dataset
    labels = [zlib.crc32(split.labels.tobytes()) for split in (data.train, data.test)]
    epochs = [(record.phase, record.epoch) for record in trained.history]
    return repr((trained.recipe.record(), labels, epochs, position.batches, position.steps))


def _average_(trained: Trained, device: torch.device) -> None:
    """Begin to average the weights, where the recipe wants it, or go on."""
    decay = trained.recipe.training.ema
    if decay is not None and trained.average is None:
        trained.average = WeightAverage(trained.model, decay)
    elif trained.average is not None:
        trained.average.to(device)


def total_batches(recipe: Recipe, dataset: Dataset, *, epochs_done: int = 0, batches_done: int = 0) -> int:
    """How many times `train` will call `on_batch`, at most: a run may stop early.

    Args:
        recipe: What to train.
        dataset: The data that the recipe names.
        epochs_done: Epochs that a checkpoint already holds.
        batches_done: Batches of the next epoch that it holds.

    Example:
        >>> from pumice.data import load_dataset
        >>> total_batches(Recipe(), load_dataset("digits"), epochs_done=23)
        23
    """
    epochs = recipe.training.epochs + recipe.training.finetune_epochs - epochs_done
    prepared, _ = prepare_data(recipe, dataset)
    return epochs * batches_per_epoch(recipe, prepared) - batches_done


def _snapshot(trained: Trained, optimizer: Any, position: Position) -> Checkpoint:
    average = trained.average
    return Checkpoint(
        recipe=trained.recipe,
        excerpt=excerpt(trained.dataset),
        history=trained.history,
        model_state=trained.state(),
        optimizer_state=optimizer.state_dict(),
        position=position,
        best_state=trained.best_state,
        learning=None if average is None else Learning(trained.model.state_dict(), average.steps),
    )


def _resumed(
    recipe: Recipe, dataset: Dataset, model: torch.nn.Module | None, checkpoint: Checkpoint, *, extend: bool
) -> Trained:
    keys = set(different_keys(recipe, checkpoint.recipe)) - FREE_TO_CHANGE
    if extend:
        _check_extension(recipe, checkpoint)
        keys = {key for key in keys if not any(f"{key}.".startswith(f"{free}.") for free in EXTENDABLE)}
    if keys:
        raise InputError(
            f"the checkpoint was made with another recipe ({', '.join(sorted(keys))} differ); resume with the same "
            "recipe and settings, or train anew to another place, beginning with its weights (network.weights)"
        )
    trained = restore(checkpoint, dataset, model=model, trust=None)  # its names are those of the user's own recipe
    trained.recipe = recipe
    if checkpoint.learning is not None and recipe.training.ema is not None:
        trained.average = WeightAverage(trained.model, recipe.training.ema, checkpoint.learning.steps)
        trained.model.load_state_dict(checkpoint.learning.state)
    if extend and recipe.training.keep_best:
        trained.best_state = copy.deepcopy(checkpoint.model_state)  # what a finished run ended with is its best
    return trained


def _check_extension(recipe: Recipe, checkpoint: Checkpoint) -> None:
    if next_epoch(checkpoint.recipe, checkpoint.history) is not None:
        raise InputError("the run is not finished: resume it first, with its own recipe, then extend it")
    if next_epoch(recipe, checkpoint.history) is None:
        done = checkpoint.is_deployed
        phase = "finetune_epochs" if done else "epochs or training.finetune_epochs"
        why = " (early stopping has ended the first phase)" if stops_early(recipe, checkpoint.history) else ""
        raise InputError(
            f"nothing is left to do: raise training.{phase}{why}"
            + ("; its network computes in integers now, after which no epoch in real numbers comes" if done else "")
        )
