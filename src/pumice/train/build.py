"""From a recipe to the objects that it names."""

from __future__ import annotations

import warnings

import numpy as np
import torch

from pumice import names, nn
from pumice.data import Dataset, EventBinner, EventDataset, EventSamples, ImageDataset
from pumice.data.image_files import in_memory
from pumice.data.recipe import build_encoder
from pumice.errors import InputError, LoweringError, PumiceWarning
from pumice.models import build_model
from pumice.names import counted
from pumice.nn.neurons.gradients import GRADIENTS
from pumice.nn.surrogate import SURROGATES, Surrogate
from pumice.quantization import check_can_be_quantized, quantize_
from pumice.quantization.trace import SYNAPTIC
from pumice.train.losses import AbstractLoss, make_loss
from pumice.train.predict import to_tensor
from pumice.train.recipe import NeuronSection, Recipe

EXAMPLE_SIZE = 4
GIVEN = "given"
"""`network.name` of a network that was no recipe's, but given to `train` as an object."""


def build_network(recipe: Recipe, dataset: Dataset) -> torch.nn.Module:
    """The recipe's network with the weights that its seed gives.

    Raises:
        InputError: The surrogate or the network does not take its arguments, or the network was given as an object.
    """
    if recipe.network.name == GIVEN:
        raise InputError(
            "the network was given as train(..., model=...), so no recipe can make it again: give it once more, "
            'restore(checkpoint, model=...), or name in the recipe what makes it: network.name = "my_module:make"'
        )
    params = recipe.neuron.model_dump(exclude={"norm", "surrogate", "surrogate_args", "gradient", "gradient_args"})
    if recipe.neuron.norm == "tdbn":
        params["norm"] = nn.TDBN
    if (surrogate := _surrogate(recipe.neuron)) is not None:
        params["surrogate"] = surrogate
    if (gradient := _gradient(recipe.neuron)) is not None:
        params["gradient"] = gradient
    channel, height, width = example_input(recipe, dataset).shape[1:4]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return build_model(
            recipe.network.name, params, (channel, height, width), len(dataset.class_names), **recipe.network.args
        )


def build_loss(recipe: Recipe, dataset: Dataset) -> AbstractLoss:
    """The recipe's loss.

    Raises:
        InputError: There is no such loss, it does not take its arguments, or it has no weights of classes, which the
            recipe asks for.
    """
    settings = recipe.training
    weights = settings.class_weights
    if "class_weights" in settings.loss_args:
        raise InputError("training.loss_args.class_weights: say it as training.class_weights")
    if weights is not None and dataset.has_targets:
        raise InputError("training.class_weights: this dataset has targets, numbers, and no classes; leave them out")
    if weights == "balanced":
        counts = np.bincount(dataset.train.labels, minlength=len(dataset.class_names))
        weights = [len(dataset.train) / (len(counts) * max(int(n), 1)) for n in counts]
    return make_loss(settings.loss, class_weights=weights, **settings.loss_args)


def _surrogate(neuron: NeuronSection) -> Surrogate | None:
    if neuron.surrogate is None:
        if neuron.surrogate_args:
            raise InputError("neuron.surrogate_args are those of a neuron.surrogate, and none is chosen")
        return None
    kind = names.find(neuron.surrogate, SURROGATES, "surrogate")
    surrogate = names.call(kind, f"neuron.surrogate {neuron.surrogate!r}", neuron.surrogate_args)
    if not isinstance(surrogate, Surrogate):
        raise InputError(f"neuron.surrogate {neuron.surrogate!r} gives a {type(surrogate).__name__}, no Surrogate")
    return surrogate


def _gradient(neuron: NeuronSection) -> nn.Gradient | None:
    if neuron.gradient is None:
        if neuron.gradient_args:
            raise InputError("neuron.gradient_args are those of a neuron.gradient, and none is chosen")
        return None
    where = f"neuron.gradient {neuron.gradient!r}"
    gradient = names.call(names.find(neuron.gradient, GRADIENTS, "gradient"), where, neuron.gradient_args)
    if not isinstance(gradient, nn.Gradient):
        raise InputError(f"{where} gives a {type(gradient).__name__}, no pumice.nn.Gradient")
    return gradient


def example_input(recipe: Recipe, dataset: Dataset, size: int = EXAMPLE_SIZE) -> torch.Tensor:
    """The first `size` training samples, encoded, shape (n, channel, height, width, time).

    Raises:
        InputError: They are recordings of events, and no event lies within the steps: another clock or unit.
    """
    rng = np.random.default_rng(recipe.seed)
    samples = dataset.train.samples[:size]
    encoder = build_encoder(recipe, dataset)
    if isinstance(encoder, EventBinner):
        _check_times(samples, encoder)
    return to_tensor(encoder.encode(in_memory(samples), rng))


def _check_times(samples: EventSamples, binner: EventBinner) -> None:
    """A recording that begins late is one of its kind; where all miss the steps, it is their clock or their unit."""
    named = [(samples.name(index), events) for index, events in enumerate(samples) if len(events)]
    steps = [binner.steps_of(events) for _, events in named]
    if not named:
        return
    name, events = named[0]
    if all(((at < 0) | (at >= binner.steps)).all() for at in steps):
        raise InputError(f"{name}, and all of the first {len(samples)}: {binner.missed(events)}")
    if all(len(at) > binner.steps > 1 and (at == 0).all() for at in steps):
        warnings.warn(
            f"{name}, and all of the first {len(samples)}: every event lies in the first of "
            f"{counted(binner.steps, 'step')} of "
            f"{binner.window:g} microseconds; times in another unit must be multiplied",
            PumiceWarning,
            stacklevel=2,
        )


def check_data_keys(recipe: Recipe, dataset: Dataset) -> None:
    """Refuse, before the first epoch, what a recipe says of data of another kind than it has: nothing would read it.

    Raises:
        InputError: The message names the keys.
    """
    data = recipe.data
    idle: set[str] = set() if data.folds is not None else {"fold", "fold_seed"}
    if not isinstance(dataset, ImageDataset):
        idle |= {"gray_levels", "noise"}
    if not isinstance(dataset, EventDataset) or names.is_own(data.encoding):
        idle |= {"window", "max_count", "downsample"}
    elif data.encoding != "time":
        idle |= {"window"}
    said = [f"data.{key}={value}" for key, value in data.model_dump(exclude_defaults=True).items() if key in idle]
    if said:
        folds = "" if data.folds else ", without data.folds"
        raise InputError(
            f"{', '.join(said)} would do nothing: {dataset.name} is of the kind {type(dataset).__name__}, with "
            f"data.encoding={data.encoding}{folds}; leave it out"
        )


def check_phases(model: torch.nn.Module, recipe: Recipe, dataset: Dataset) -> None:
    """Refuse, before the first epoch and not behind the last, to fine-tune the integers of what has none.

    Raises:
        InputError: It is no spiking network.
        LoweringError: It has no exact form on the chip; the message names the block.
    """
    epochs = recipe.training.finetune_epochs
    if not epochs:
        return
    where = f"training.finetune_epochs={epochs}: "
    if not any(isinstance(module, SYNAPTIC) for module in model.modules()):
        raise InputError(
            f"{where}{recipe.network.name} is no spiking network, so that it has no integers to be fine-tuned; set "
            "training.finetune_epochs=0"
        )
    try:
        check_can_be_quantized(model, example_input(recipe, dataset))
    except LoweringError as error:
        raise LoweringError(f"{where}{error}; or set it to 0, and train in real numbers alone") from error


def deploy(model: torch.nn.Module, recipe: Recipe, dataset: Dataset) -> torch.nn.Module:
    """`pumice.quantize_` for the range of values that the recipe's encoding can give."""
    input_range = build_encoder(recipe, dataset).value_range
    return quantize_(model, example_input(recipe, dataset), input_range=input_range)
