"""The sections of a recipe, beside that of its data."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pumice.data.recipe.schema import MOST_THREADS
from pumice.data.recipe.section import Name, Section, as_it_is, named
from pumice.nn.neurons.gradients import GRADIENTS
from pumice.nn.surrogate import SURROGATES
from pumice.train.losses.registry import LOSSES
from pumice.train.optimizers import OPTIMIZERS
from pumice.train.schedules import SCHEDULES

Monitor = Literal["train_loss", "validation_loss", "validation_accuracy"]


MOST_ALPHA = 1000.0
"""Beyond it, every share is a half."""


class NeuronSection(Section):
    """SLAYER's `neuron_params`, for every layer.

    Attributes:
        threshold: V_th, > 0.
        current_decay: 0 to 1; 1 is a current without memory.
        voltage_decay: 0 to 1; 1 - tau of a leaky integrate-and-fire neuron.
        tau_grad: Width of SLAYER's surrogate gradient.
        scale_grad: Height of SLAYER's surrogate gradient.
        surrogate: Name in `pumice.nn.surrogate`, or "package.module:Class" of your own (a `Surrogate`), in place of
            SLAYER's; None leaves the network's own choice.
        surrogate_args: The surrogate's own keyword arguments, all > 0.
        gradient: "slayer", "stbp" (through the reset), "stbp-detached", "hm2bp" (of spike counts), or
            "package.module:Class" of your own (a `pumice.nn.Gradient`); None leaves the network's own choice.
        gradient_args: The gradient's own keyword arguments.
        norm: "tdbn" (threshold-dependent batch norm) or "none".
    """

    threshold: Annotated[float, Field(gt=0)] = 0.5
    current_decay: Annotated[float, Field(ge=0, le=1)] = 1.0
    voltage_decay: Annotated[float, Field(ge=0, le=1)] = 0.75
    tau_grad: Annotated[float, Field(gt=0)] = 0.03
    scale_grad: Annotated[float, Field(gt=0)] = 3.0
    surrogate: Annotated[str | None, named(SURROGATES, "surrogate")] = None
    surrogate_args: dict[str, Annotated[float, Field(gt=0)]] = {}
    gradient: Annotated[str | None, named(GRADIENTS, "gradient")] = None
    gradient_args: dict[str, Any] = {}
    norm: Literal["tdbn", "none"] = "tdbn"


class NetworkSection(Section):
    """Which network.

    Attributes:
        name: A name in `pumice.models`, or "package.module:object" of your own: a class or function that makes it,
            and is given `neuron_params`, `image_shape` and `n_classes` as far as it has arguments of these names.
        args: Its own keyword arguments.
        weights: Checkpoint of another run, with whose weights the network begins as far as they fit.
    """

    name: Annotated[str, Name(as_it_is)] = "convnet"
    args: dict[str, Any] = {}
    weights: str | None = None


class EarlyStoppingSection(Section):
    """When the first phase, in real numbers, ends before its last epoch.

    Attributes:
        monitor: "train_loss", or "validation_loss" or "validation_accuracy" (need `data.validation`). Never the
            test split.
        patience: Epochs without improvement after which the phase ends.
        min_delta: What counts as an improvement.
    """

    monitor: Monitor = "train_loss"
    patience: Annotated[int, Field(ge=1)] = 5
    min_delta: Annotated[float, Field(ge=0)] = 0.0


class TrainingSection(Section):
    """How the weights are found.

    Attributes:
        epochs: Passes over the training split in real numbers.
        finetune_epochs: Further passes through the chip's integers (quantisation-aware).
        batch_size: Samples per batch, of all processes together.
        accumulate: Batches whose mean gradient makes one step of the optimiser.
        initial_rate: Spikes per neuron and step to which every layer is brought before the first epoch, on the first
            `batch_size` training samples (`initialize_by_data_`); None leaves the weights as drawn.
        initial_current: Standard deviation of every layer's currents, in its thresholds, for which weights are drawn
            (`moment_preserving_`; 1 is tdBN's), for chains of dense and convolution layers without a norm; the first
            layer's on the first `batch_size` training samples.
        threads: CPU threads of torch; part of the recipe because sums in another order give other bits. One is
            fastest for small networks (and on a busy machine); None leaves torch's own choice.
        optimizer: "adamw", "adam" or "sgd"; or any other as "package.module:Class" ("torch.optim:RAdam").
        optimizer_args: Its own keyword arguments, beside lr and weight_decay.
        momentum: Of "sgd".
        lr: Learning rate at the start.
        finetune_lr: The same for the fine-tuning phase.
        schedule: How it falls within each phase: "cosine" (to 0), "linear", "exponential", "step", "constant", or
            "package.module:function" of your own, which is given `done` (epochs, with fractions) and `epochs`, and
            gives a factor.
        schedule_args: The schedule's own keyword arguments, such as `last`.
        delay_lr: Learning rate of axonal delays, in steps, times lr; they have no weight decay.
        warmup_epochs: Epochs over which the learning rate of the first phase rises, batch by batch; that of the first
            batch is what one batch adds, not 0.
        weight_decay: The optimiser's.
        clip_norm: Largest norm of all gradients together; None does not clip.
        loss: Name in `pumice.train.losses`, or "package.module:Class" of your own; see `make_loss`.
        loss_args: The loss's own keyword arguments.
        class_weights: How much each class counts in the loss: one number per class, or "balanced" (inversely to its
            share of the training samples); None counts all samples alike.
        sample_boosting: HM2-BP's: after each epoch, samples that were answered wrong in it count exp(this * their
            class's error) times as much (there 0.05), for any loss; None weighs none.
        mixup: Images of a batch are mixed in pairs, with shares from Beta(this, this), see `pumice.train.mixing`.
        cutmix: The same, where a rectangle of one image is put into the other; with both, each batch gets one.
        mixing_until: Share of the epochs in real numbers in which images are mixed, from the first one on; at least
            one epoch's.
        no_augment_epochs: In the last so many epochs, of both phases together, samples come as they are: without
            `data.augment`, `data.noise`, and the random crops of image files (as in YOLOX: Ge, Liu, Wang, Li, Sun,
            2021).
        ema: Decay, for each step of the optimiser, of an exponential moving average of weights and statistics (0.999,
            say), see `pumice.train.averaging`: what is tested, kept, fine-tuned and lowered is the average.
        regularizers: Name in `pumice.train.regularizers`, or "package.module:Class" of your own -> its keyword
            arguments.
        freeze: Names of parameters that do not learn, with * and ?: ["body.*"]. A block frozen as a whole keeps its
            statistics, too.
        early_stopping: When to stop before the last epoch; None trains all epochs.
        keep_best: Each phase ends with the weights of its best epoch by this figure; None: with those of its last.
        checkpoint_every_steps: Write the checkpoint also after so many steps of the optimiser within an epoch.
    """

    epochs: Annotated[int, Field(ge=1)] = 20
    finetune_epochs: Annotated[int, Field(ge=0)] = 4
    batch_size: Annotated[int, Field(ge=2)] = 64
    accumulate: Annotated[int, Field(ge=1)] = 1
    initial_rate: Annotated[float | None, Field(gt=0, lt=1)] = None
    initial_current: Annotated[float | None, Field(gt=0)] = None
    threads: Annotated[int | None, Field(ge=1, le=MOST_THREADS)] = 1
    optimizer: Annotated[str, named(OPTIMIZERS, "optimiser")] = "adamw"
    optimizer_args: dict[str, Any] = {}
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    lr: Annotated[float, Field(gt=0)] = 1e-2
    finetune_lr: Annotated[float, Field(gt=0)] = 1e-3
    schedule: Annotated[str, named(SCHEDULES, "schedule")] = "cosine"
    schedule_args: dict[str, Any] = {}
    delay_lr: Annotated[float, Field(ge=0)] = 10.0
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    clip_norm: Annotated[float | None, Field(gt=0)] = None
    loss: Annotated[str, named(LOSSES, "loss")] = "spike_count_cross_entropy"
    loss_args: dict[str, Any] = {}
    class_weights: Literal["balanced"] | list[Annotated[float, Field(gt=0)]] | None = None
    sample_boosting: Annotated[float | None, Field(gt=0, le=1)] = None
    mixup: Annotated[float | None, Field(gt=0, le=MOST_ALPHA)] = None
    cutmix: Annotated[float | None, Field(gt=0, le=MOST_ALPHA)] = None
    mixing_until: Annotated[float, Field(gt=0, le=1)] = 1.0
    no_augment_epochs: Annotated[int, Field(ge=0)] = 0
    ema: Annotated[float | None, Field(gt=0, lt=1)] = None
    regularizers: Annotated[dict[str, dict[str, Any]], Name(as_it_is)] = {}
    freeze: list[str] = []
    early_stopping: EarlyStoppingSection | None = None
    keep_best: Monitor | None = None
    checkpoint_every_steps: Annotated[int | None, Field(ge=1)] = None

    @property
    def last_mixed_epoch(self) -> int:
        """The last epoch in real numbers in which images are mixed, where they are.

        Example:
            >>> TrainingSection(epochs=300, mixup=0.5, mixing_until=0.667).last_mixed_epoch
            200
        """
        return math.floor(self.mixing_until * self.epochs + 1e-9)  # 0.29 of 100 is 29

    @property
    def last_augmented_epoch(self) -> int:
        """The last epoch, counted over both phases, in which chance changes samples; below 1: none does.

        Example:
            >>> TrainingSection(epochs=60, finetune_epochs=6, no_augment_epochs=8).last_augmented_epoch
            58
        """
        return self.epochs + self.finetune_epochs - self.no_augment_epochs


class ComputeSection(Section):
    """On what it is computed (Lightning Fabric's names).

    Attributes:
        accelerator: "cpu", "cuda", "mps" (Apple's GPUs; never tested), or "auto" (the best there is).
        devices: Processes of one machine, each with a device; more than one are started by torchrun.
        precision: "32-true", or "bf16-mixed" for the phase in real numbers; integers are always computed in 32.
        cuda_graphs: On one CUDA device, record forward and backward pass once for each size of a batch, then replay
            them: for networks whose Python does the same for every batch, drawing nothing and asking for no value.
        checkpointing: Keep of each part of the network (a block of a `torch.nn.Sequential`, a child of a network of
            your own) its input only, and compute its activations again for the gradient: less memory, for large
            images, many steps and many layers, and one more forward pass. Does not change the result. What
            `training.regularizers` look at stays in memory.
    """

    accelerator: Literal["cpu", "cuda", "mps", "auto"] = "cpu"
    devices: Annotated[int, Field(ge=1, le=MOST_THREADS)] = 1
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    cuda_graphs: bool = False
    checkpointing: bool = False

    @model_validator(mode="after")
    def _check_checkpointing(self) -> ComputeSection:
        if self.checkpointing and self.cuda_graphs:
            raise ValueError(
                "checkpointing draws anew in the backward pass what chance gave in the forward pass, which "
                "cuda_graphs cannot record; leave one of them out"
            )
        return self


class LoggingSection(Section):
    """What is written beside the checkpoint.

    Attributes:
        csv: `steps.csv` (loss, accuracy and learning rate of every step) and `epochs.csv`.
        tensorboard: The same figures as events for TensorBoard, in the folder `tensorboard`.
    """

    csv: bool = True
    tensorboard: bool = False
