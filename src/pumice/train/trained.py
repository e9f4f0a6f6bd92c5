"""A network together with how it came to be."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from pumice.data import AbstractEncoder, Dataset, Split
from pumice.data.encoders import draws
from pumice.data.recipe import build_encoder, prepare_data
from pumice.data.recipe.own_code import check_own_code
from pumice.errors import FileFormatError, InputError
from pumice.quantization.compiled import original
from pumice.train.averaging import WeightAverage
from pumice.train.build import GIVEN, build_network, deploy, example_input
from pumice.train.checkpoint import Checkpoint
from pumice.train.history import FINETUNE, FLOAT, EpochRecord
from pumice.train.next_epoch import kept_record
from pumice.train.outputs import first_output
from pumice.train.predict import predict, predict_counts, squared_errors
from pumice.train.recipe import NetworkSection, Recipe
from pumice.train.runtime.fabric import summed
from pumice.train.score import score_of

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(eq=False)
class Trained:
    """A network and how it came to be.

    Attributes:
        recipe: What was asked for.
        dataset: The data, as the recipe wants them.
        model: The network; deployed once fine-tuning has begun.
        history: One record per epoch.
        validation: The part of the training split that is kept from training, if any.
        best_state: Weights of the best epoch of the phase so far, where the recipe keeps them.
        average: Of the weights, while a phase trains them, where the recipe wants it.
    """

    recipe: Recipe
    dataset: Dataset
    model: torch.nn.Module
    history: tuple[EpochRecord, ...] = ()
    validation: Split | None = None
    best_state: dict[str, torch.Tensor] | None = None
    average: WeightAverage | None = None

    def state(self) -> dict[str, Any]:
        """The `state_dict` of what is tested and kept: the network, with averaged weights where there are any."""
        return self.model.state_dict() if self.average is None else self.average.state_dict()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Until the context ends, the network is the one that is tested and kept."""
        with nullcontext() if self.average is None else self.average.in_place():
            yield

    @property
    def encoder(self) -> AbstractEncoder:
        """Turns the dataset's images into the network's input."""
        return build_encoder(self.recipe, self.dataset)

    def steps_of(self, split: Split) -> npt.NDArray[np.int64] | None:
        """Steps of each sample of a split that count, shape (N,); None where all do."""
        return None if split.lengths is None else self.encoder.own_steps(split.lengths)

    @property
    def example(self) -> torch.Tensor:
        """A few encoded training samples, for `pumice.quantize_` and `pumice.lower`."""
        return example_input(self.recipe, self.dataset)

    @property
    def accuracy_float(self) -> float:
        """Test accuracy after the epoch in real numbers whose weights were kept, 0 to 1.

        Raises:
            InputError: No epoch is finished yet, or the network answers numbers.
        """
        kept = kept_record(self.recipe, self.history, FLOAT)
        if kept is None:
            raise InputError("no epoch is finished yet: train on first (--resume)")
        if kept.test_accuracy is None:
            raise InputError("there is no accuracy: the network answers numbers; see error_float and error_deployed")
        return kept.test_accuracy

    @property
    def error_float(self) -> float | None:
        """Where numbers are answered, the root of the mean squared error in the place of `accuracy_float`."""
        kept = kept_record(self.recipe, self.history, FLOAT)
        return None if kept is None else kept.test_error

    @property
    def error_deployed(self) -> float | None:
        """The same in the chip's integers; None without fine-tuning."""
        kept = kept_record(self.recipe, self.history, FINETUNE)
        return None if kept is None else kept.test_error

    @property
    def accuracy_deployed(self) -> float | None:
        """Test accuracy after the fine-tuning epoch whose weights were kept, 0 to 1; None without fine-tuning."""
        kept = kept_record(self.recipe, self.history, FINETUNE)
        return None if kept is None else kept.test_accuracy

    def test_score(self, fabric: Fabric | None = None) -> dict[str, float]:
        """Test accuracy or error of the network as it is now, by the name that an `EpochRecord` has for it."""
        if not self.dataset.has_targets:
            return {"test_accuracy": self.test_accuracy(fabric)}
        test = self.dataset.test
        total = squared_errors(
            self.model,
            self.encoder,
            test.samples,
            test.labels,
            lengths=self.steps_of(test),
            seed=self.recipe.seed,
            workers=self.recipe.data.workers,
        )
        return score_of("test", total, len(test), has_targets=True)

    def test_accuracy(self, fabric: Fabric | None = None) -> float:
        """Test accuracy of the network as it is now, 0 to 1.

        Args:
            fabric: Shares the work between its processes, if there are several.
        """
        test, options = self.dataset.test, {"seed": self.recipe.seed, "workers": self.recipe.data.workers}
        # A random encoding is drawn sample after sample: it cannot be shared without changing the samples.
        if fabric is None or fabric.world_size == 1 or draws(self.encoder):
            counts = predict_counts(self.model, self.encoder, test.samples, lengths=self.steps_of(test), **options)
            return float((predict(counts) == test.labels).mean())
        mine = test.select(np.arange(fabric.global_rank, len(test), fabric.world_size))
        correct = 0
        if len(mine):
            counts = predict_counts(self.model, self.encoder, mine.samples, lengths=self.steps_of(mine), **options)
            correct = int((predict(counts) == mine.labels).sum())
        return summed(fabric, [float(correct)])[0] / len(test)


def start(recipe: Recipe, dataset: Dataset, model: torch.nn.Module | None = None) -> Trained:
    """A network before its first epoch.

    Args:
        recipe: What to train.
        dataset: The data that the recipe names, as loaded.
        model: The network, in place of the recipe's.

    Raises:
        InputError: What is given is no recipe, dataset or network, or does not answer with the data's classes.
    """
    if not isinstance(dataset, Dataset):
        raise InputError(
            "dataset must be a pumice.data.ImageDataset, SequenceDataset or EventDataset, got "
            f"{type(dataset).__name__}"
        )
    prepared, validation = prepare_data(recipe, dataset)
    return _untrained(recipe, prepared, validation, model)


def restore(
    checkpoint: Checkpoint,
    dataset: Dataset | None = None,
    *,
    model: torch.nn.Module | None = None,
    trust: Collection[str] | None = (),
) -> Trained:
    """Rebuild a checkpoint's network.

    Args:
        checkpoint: As read from its file.
        dataset: The data that its recipe names, as loaded; the checkpoint's own excerpt, which is enough for
            lowering, if not given.
        model: A network like that which was given to `train`; its weights become the checkpoint's.
        trust: Modules outside the current folder that the checkpoint may name ("my_package"); None for any.

    Raises:
        FileFormatError: The weights do not fit the network that the recipe describes.
        InputError: The checkpoint names code that is not trusted, or its network was given as an object.
    """
    recipe = checkpoint.recipe
    if trust is not None:
        check_own_code(recipe, "the checkpoint", trust)
    if dataset is None:
        trained = _untrained(recipe, checkpoint.excerpt, model=model)
    else:
        trained = start(recipe, dataset, model)
    if checkpoint.is_deployed:
        deploy(trained.model, recipe, trained.dataset)
    try:
        trained.model.load_state_dict(checkpoint.model_state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise FileFormatError(f"the checkpoint's weights do not fit its recipe's network: {error}") from error
    trained.history = checkpoint.history
    trained.best_state = checkpoint.best_state
    return trained


def with_given_network(recipe: Recipe, model: torch.nn.Module | None) -> Recipe:
    """The recipe as it is recorded: that of a network given as an object names none.

    Raises:
        InputError: It is no recipe, or the object no network that can be trained.
    """
    _check_given(recipe, model)
    if model is None:
        return recipe
    given = NetworkSection(name=GIVEN, weights=recipe.network.weights)
    return recipe.model_copy(update={"network": given})


def _check_given(recipe: object, model: object) -> None:
    if not isinstance(recipe, Recipe):
        got = type(recipe).__name__
        raise InputError(f"a Recipe is needed, got {got}; pumice.train.find_recipe(name or path) gives one")
    if model is None:
        return
    if not isinstance(model, torch.nn.Module):
        got = f"the class {model.__name__}; give an object of it" if isinstance(model, type) else type(model).__name__
        raise InputError(f"model must be a torch.nn.Module, got {got}")
    if original(model) is not model:
        raise InputError("model is what torch.compile made, which training does not use; give the network in it")


def _untrained(
    recipe: Recipe, prepared: Dataset, validation: Split | None = None, model: torch.nn.Module | None = None
) -> Trained:
    recipe = with_given_network(recipe, model)
    if model is None:
        model = build_network(recipe, prepared)
    with torch.no_grad():
        # Some of SLAYER's parameters and buffers get their shape in the first call.
        answer = first_output(model.eval()(example_input(recipe, prepared)))
    n_classes, shape = len(prepared.class_names), tuple(answer.shape)
    if len(shape) < 3 or math.prod(shape[1:-1]) < n_classes:
        raise InputError(
            f"the network must return spikes (batch, class, time) with at least {n_classes} classes, or "
            f"several outputs with them first, got shape {shape}; sums over time are the loss's"
        )
    return Trained(recipe, prepared, model, validation=validation)
