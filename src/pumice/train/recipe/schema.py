"""What is trained on what, and how: a typed description that fits in a small file."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from pumice.data.recipe.reading import READ_UNTIL, RENAMED, checked
from pumice.data.recipe.schema import DataRecipe
from pumice.train.recipe.sections import (
    ComputeSection,
    LoggingSection,
    NetworkSection,
    NeuronSection,
    TrainingSection,
)


class Recipe(DataRecipe):
    """Everything that a training run depends on, apart from the machine.

    The defaults suit the bundled digits and a small convolutional chain; `PRESETS` holds what the demo trains.

    Attributes:
        name: Names the run's folder.
        seed: Of weights, order, noise and rate encoding.
        data: Images and encoding.
        neuron: Neuron parameters.
        network: Network and its arguments.
        training: Loss, optimiser, epochs.
        compute: Device and precision.
        logging: Logs.

    Example:
        >>> Recipe(seed=3, training=TrainingSection(epochs=2)).training.batch_size
        64
    """

    called: ClassVar[str] = "the recipe"

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "digits"
    neuron: NeuronSection = NeuronSection()
    network: NetworkSection = NetworkSection()
    training: TrainingSection = TrainingSection()
    compute: ComputeSection = ComputeSection()
    logging: LoggingSection = LoggingSection()

    @model_validator(mode="after")
    def _check_monitors(self) -> Recipe:
        stopping = self.training.early_stopping
        monitors = {
            "training.early_stopping.monitor": None if stopping is None else stopping.monitor,
            "training.keep_best": self.training.keep_best,
        }
        for key, monitor in monitors.items():
            if monitor is not None and monitor != "train_loss" and not self.data.validation:
                raise ValueError(f"{key}={monitor} needs a part to validate on: set data.validation, 0.1 say")
        return self

    @model_validator(mode="after")
    def _check_initial(self) -> Recipe:
        if self.training.initial_current is not None and self.training.initial_rate is not None:
            raise ValueError(
                "training.initial_current and training.initial_rate both say how large the first weights are; leave "
                "one out"
            )
        return self

    @model_validator(mode="after")
    def _check_mixing(self) -> Recipe:
        training = self.training
        mixes = training.mixup is not None or training.cutmix is not None
        if training.mixing_until < 1 and not mixes:
            raise ValueError(
                "training.mixing_until says how long training.mixup or training.cutmix mix, and neither is chosen; "
                "choose one, or leave it out"
            )
        if mixes and training.last_mixed_epoch < 1:
            raise ValueError(
                f"training.mixing_until={training.mixing_until:g} of training.epochs={training.epochs} is less than "
                f"one epoch, so nothing would be mixed; give {1 / training.epochs:.12g} to 1, or leave out "
                "training.mixup and training.cutmix"
            )
        if mixes and training.sample_boosting is not None:
            raise ValueError(
                "training.sample_boosting weighs samples, and training.mixup and training.cutmix mix them; choose one"
            )
        return self

    def record(self) -> dict[str, Any]:
        """The recipe as a network's file keeps it: what came after the first release only where it is used.

        A network made by an older pumice can so be made again byte for byte, but for the order of data.augment.
        Folders and workers are left out. Keys are in alphabetical order, but for those whose order says what is done
        first.

        Example:
            >>> Recipe().record()["training"].keys() - Recipe(training={"accumulate": 2}).record()["training"].keys()
            set()
            >>> Recipe(training={"accumulate": 2}).record()["training"]["accumulate"]
            2
        """
        used = self.model_dump(exclude_defaults=True)
        values: dict[str, Any] = {}
        for key, value in self.model_dump().items():
            if not isinstance(value, dict):
                values[key] = value
            elif key in _FIRST_RELEASE or key in used:
                first = _FIRST_RELEASE.get(key, set())
                kept = first | (used.get(key, {}).keys() - _MACHINE)
                values[key] = {_RECORDED_AS.get(k, k): v for k, v in value.items() if k in kept}
        return _in_alphabetical_order(values)


_RECORDED_AS = {new: old for keys in RENAMED.values() for old, new in keys.items()}
"""A network's file names them as it always did."""
_MACHINE = {"cache", "workers"}  # of no influence on the result
IN_ORDER = frozenset({"data.augment"})
"""Keys whose value is a dictionary that says what is done first."""
_FIRST_RELEASE: dict[str, set[str]] = {
    "data": {"dataset", "encoding", "steps", "gray_levels", "max_train", "max_test", "noise"},
    "neuron": set(NeuronSection.model_fields) - {"surrogate", "surrogate_args", "gradient", "gradient_args"},
    "network": {"name", "args"},
    "training": {
        *("epochs", "finetune_epochs", "batch_size", "threads", "lr", "finetune_lr", "weight_decay"),
        *("loss", "loss_args"),
    },
}


def make_recipe(values: Any, where: str, *, notice: str = READ_UNTIL) -> Recipe:
    """Check a nested dictionary and make a recipe of it.

    Args:
        values: As read from a file; missing keys take their defaults.
        where: Where it comes from, for messages.
        notice: What to say where keys have names of 0.1, behind these.

    Raises:
        InputError: One message with every unknown key and unusable value, or a key is there by both of its names.

    Example:
        >>> make_recipe({"training": {"epochs": 0}}, "my.toml")
        Traceback (most recent call last):
        ...
        pumice.errors.InputError: my.toml: training.epochs: Input should be greater than or equal to 1 (got 0)
    """
    return checked(Recipe, values, where, notice)


def _in_alphabetical_order(values: Any, place: str = "") -> Any:
    if isinstance(values, list):
        return [_in_alphabetical_order(value, place) for value in values]
    if not isinstance(values, dict):
        return values
    keys = values if place in IN_ORDER else sorted(values)
    return {key: _in_alphabetical_order(values[key], f"{place}.{key}".lstrip(".")) for key in keys}
