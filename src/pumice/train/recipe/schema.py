"""What is trained on what, and how: a typed description that fits in a small file."""

from __future__ import annotations

import difflib
import json
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from pumice.errors import InputError, PumiceWarning
from pumice.files.plain import plain_problem
from pumice.names import is_class
from pumice.train.recipe.sections import (
    ComputeSection,
    DataSection,
    LoggingSection,
    NetworkSection,
    NeuronSection,
    Section,
    TrainingSection,
)


class Recipe(Section):
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

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "digits"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data: DataSection = DataSection()
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
        if mixes and training.sample_boosting is not None:
            raise ValueError(
                "training.sample_boosting weighs samples, and training.mixup and training.cutmix mix them; choose one"
            )
        return self

    def record(self) -> dict[str, Any]:
        """The recipe as a network's file keeps it: what came after the first release only where it is used.

        A network made by an older pumice can so be made again byte for byte. Folders and workers are left out.

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
        return values

    @classmethod
    def from_record(cls, values: Any) -> Recipe:
        """The inverse of `record`.

        Raises:
            ValueError: It is none.

        Example:
            >>> recipe = Recipe(data={"gray_levels": 4})
            >>> recipe.record()["data"]["grey_levels"], Recipe.from_record(recipe.record()) == recipe
            (4, True)
        """
        if (problem := plain_problem(values, finite=True)) is not None:
            raise ValueError(problem)
        return cls.model_validate(_with_new_names(values)[0])

    def data_arguments(self) -> dict[str, Any]:
        """What `load_dataset` is given beside the dataset's name and folder.

        Example:
            >>> Recipe(data={"dataset": "fsdd", "args": {"bands": 40}, "cache": "cache"}).data_arguments()
            {'bands': 40, 'cache': 'cache'}
        """
        return self.data.args if self.data.cache is None else {**self.data.args, "cache": self.data.cache}

    def overridden(self, settings: Sequence[str]) -> Recipe:
        """A copy with some values replaced.

        Args:
            settings: "section.key=value"; the value is JSON (12, 0.5, true, [1, 2]) or else plain text. Within
                `args`, `augment` and their like, a section that is not there yet is made.

        Raises:
            InputError: A setting has no "=", names no such key, or its value does not fit.

        Example:
            >>> Recipe().overridden(["training.epochs=2", "data.encoding=rate"]).data.encoding
            'rate'
        """
        values = self.model_dump()
        for setting in settings:
            key, equals, text = setting.partition("=")
            if not equals or not key.strip():
                raise InputError(f"--set {setting}: expected key=value, for example training.epochs=5")
            section, *keys = key.strip().split(".")
            if keys and (new := _RENAMED.get(section, {}).get(keys[0])) is not None:
                _warn_of_old_names("--set", {f"{section}.{keys[0]}": f"{section}.{new}"}, _READ_UNTIL)
                keys[0] = new
            _put(values, [section, *keys], _value(text), setting)
        return make_recipe(values, "--set")


_RENAMED = {"data": {"grey_levels": "gray_levels"}, "training": {"regularisers": "regularizers"}}
"""Keys of 0.1, by section, and what they are called now."""
_RECORDED_AS = {new: old for keys in _RENAMED.values() for old, new in keys.items()}
"""A network's file names them as it always did."""
_READ_UNTIL = "the old names are read until 0.3"
_MACHINE = {"cache", "workers"}  # of no influence on the result
_FIRST_RELEASE: dict[str, set[str]] = {
    "data": {"dataset", "encoding", "steps", "gray_levels", "max_train", "max_test", "noise"},
    "neuron": set(NeuronSection.model_fields) - {"surrogate", "surrogate_args", "gradient", "gradient_args"},
    "network": {"name", "args"},
    "training": {
        *("epochs", "finetune_epochs", "batch_size", "threads", "lr", "finetune_lr", "weight_decay"),
        *("loss", "loss_args"),
    },
}


def make_recipe(values: Any, where: str, *, notice: str = _READ_UNTIL) -> Recipe:
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
    if (problem := plain_problem(values, finite=True)) is not None:
        raise InputError(f"{where}: {problem}")
    try:
        values, renamed = _with_new_names(values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if renamed:
        _warn_of_old_names(where, renamed, notice)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        lines = [_problem(details) for details in error.errors()]
        raise InputError(f"{where}: " + "; ".join(lines)) from error


def _warn_of_old_names(where: str, renamed: dict[str, str], notice: str) -> None:
    listed = ", ".join(f"{old} is now {new}" for old, new in renamed.items())
    warnings.warn(f"{where}: {listed}; {notice}", PumiceWarning, stacklevel=4)


def _with_new_names(values: Any) -> tuple[Any, dict[str, str]]:
    """The same with keys of 0.1 under their new names, and those that there were: old name -> new name.

    Raises:
        InputError: A key is there by both of its names.
    """
    if not isinstance(values, dict):
        return values, {}
    found = {}
    renamed = dict(values)
    for section, keys in _RENAMED.items():
        inner = values.get(section)
        if isinstance(inner, dict):
            renamed[section] = {keys.get(key, key): value for key, value in inner.items()}
            old = {key: new for key, new in keys.items() if key in inner}
            for key, new in old.items():
                if new in inner:
                    raise InputError(
                        f"{section}.{key} and {section}.{new} are one key by its old and its new name; leave out "
                        f"{section}.{key}"
                    )
            found.update({f"{section}.{key}": f"{section}.{new}" for key, new in old.items()})
    return renamed, found


def _put(values: dict[str, Any], keys: list[str], value: Any, setting: str) -> None:
    inner = values
    for depth, key in enumerate(keys[:-1]):
        is_free = depth > 1  # names within `args`, `augment` and their like
        if inner.get(key) is None and (key in inner or is_free):
            inner[key] = {}
        if not isinstance(inner.get(key), dict):
            place = ".".join(keys[:depth]) or "the recipe"
            sections = ", ".join(name for name, entry in inner.items() if isinstance(entry, dict))
            raise InputError(f"--set {setting}: {place} has no section {key!r}; it has: {sections or 'none'}")
        inner = inner[key]
    inner[keys[-1]] = value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()


def _problem(details: Any) -> str:
    key = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        return f"{key}: there is no such key ({_allowed(details['loc'])})"
    if details["type"] == "value_error":
        return f"{key}: {details['ctx']['error']}" if key else str(details["ctx"]["error"])
    return f"{key or 'recipe'}: {details['msg']} (got {details['input']!r})"


def _allowed(unknown: tuple[Any, ...]) -> str:
    """What may have been meant by an unknown key: the same in another section, or a like one in its own."""
    keys = _keys(Recipe)
    section = ".".join(map(str, unknown[:-1]))
    own = [key for key in keys if key.rpartition(".")[0] == section]
    names = [key.rpartition(".")[2] for key in own]
    meant = [key for key in keys if key.rpartition(".")[2] == unknown[-1]]
    if not meant:
        near = difflib.get_close_matches(str(unknown[-1]), names, n=1)
        meant = [key for key in own if key.rpartition(".")[2] in near]
    return f"did you mean {' or '.join(meant)}?" if meant else f"there are: {', '.join(names)}"


def _keys(section: type[BaseModel], prefix: str = "") -> list[str]:
    """All keys of a section and of the sections in it, with dots between."""
    keys = []
    for name, field in section.model_fields.items():
        keys.append(prefix + name)
        for kind in (field.annotation, *get_args(field.annotation)):
            if is_class(kind, BaseModel):
                keys += _keys(kind, f"{prefix}{name}.")
    return keys
