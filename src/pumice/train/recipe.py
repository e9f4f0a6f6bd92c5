"""What is trained on what, and how: a typed description that fits in a small file."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pumice.errors import InputError, MissingExtraError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(_Section):
    """Which images, and how they enter the network.

    Attributes:
        dataset: "digits" (bundled) or "mnist" (needs a data root).
        encoding: "direct" (image repeated as graded input) or "rate" (Bernoulli spikes).
        steps: Time steps per sample.
        grey_levels: Requantise the pixels to this many levels; None keeps them.
        max_train: Use only the first so many training samples.
        max_test: Use only the first so many test samples.
        noise: Standard deviation, in grey levels, of noise added to training images, rounded to integers.
    """

    dataset: Literal["digits", "mnist"] = "digits"
    encoding: Literal["direct", "rate"] = "direct"
    steps: Annotated[int, Field(ge=1)] = 8
    grey_levels: Annotated[int | None, Field(ge=2, le=256)] = None
    max_train: Annotated[int | None, Field(ge=1)] = None
    max_test: Annotated[int | None, Field(ge=1)] = None
    noise: Annotated[float, Field(ge=0)] = 0.0


class NeuronSection(_Section):
    """SLAYER's `neuron_params`, for every layer.

    Attributes:
        threshold: V_th, > 0.
        current_decay: 0 to 1; 1 is a current without memory.
        voltage_decay: 0 to 1; 1 - tau of a leaky integrate-and-fire neuron.
        tau_grad: Width of the surrogate gradient.
        scale_grad: Height of the surrogate gradient.
        norm: "tdbn" (threshold-dependent batch norm) or "none".
    """

    threshold: Annotated[float, Field(gt=0)] = 0.5
    current_decay: Annotated[float, Field(ge=0, le=1)] = 1.0
    voltage_decay: Annotated[float, Field(ge=0, le=1)] = 0.75
    tau_grad: Annotated[float, Field(gt=0)] = 0.03
    scale_grad: Annotated[float, Field(gt=0)] = 3.0
    norm: Literal["tdbn", "none"] = "tdbn"


class NetworkSection(_Section):
    """Which network of `pumice.models`.

    Attributes:
        name: Its name.
        args: Its own keyword arguments.
    """

    name: str = "convnet"
    args: dict[str, Any] = {}


class TrainingSection(_Section):
    """How the weights are found.

    Attributes:
        epochs: Passes over the training split in real numbers.
        finetune_epochs: Further passes through the chip's integers (quantisation-aware).
        batch_size: Samples per step.
        threads: CPU threads of torch; part of the recipe because sums in another order give other bits. One is
            fastest for small networks (and on a busy machine); None leaves torch's own choice.
        lr: Learning rate at the start; falls to 0 along a cosine within each phase.
        finetune_lr: The same for the fine-tuning phase.
        weight_decay: AdamW's.
        loss: "spike_count_cross_entropy" or "spike_rate".
        loss_args: The loss's own keyword arguments.
    """

    epochs: Annotated[int, Field(ge=1)] = 20
    finetune_epochs: Annotated[int, Field(ge=0)] = 4
    batch_size: Annotated[int, Field(ge=2)] = 64
    threads: Annotated[int | None, Field(ge=1)] = 1
    lr: Annotated[float, Field(gt=0)] = 1e-2
    finetune_lr: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    loss: Literal["spike_count_cross_entropy", "spike_rate"] = "spike_count_cross_entropy"
    loss_args: dict[str, float] = {}


class Recipe(_Section):
    """Everything that a training run depends on, apart from the machine.

    The defaults suit the bundled digits and a small convolutional chain; `PRESETS` holds what the demo trains.

    Attributes:
        name: Names the run's folder.
        seed: Of weights, order, noise and rate encoding.
        data: Images and encoding.
        neuron: Neuron parameters.
        network: Network and its arguments.
        training: Loss, optimiser, epochs.

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

    def overridden(self, settings: Sequence[str]) -> Recipe:
        """A copy with some values replaced.

        Args:
            settings: "section.key=value"; the value is JSON (12, 0.5, true, [1, 2]) or else plain text.

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
            _put(values, key.strip().split("."), _value(text), setting)
        return make_recipe(values, "--set")


def make_recipe(values: Any, where: str) -> Recipe:
    """Check a nested dictionary and make a recipe of it.

    Args:
        values: As read from a file; missing keys take their defaults.
        where: Where it comes from, for messages.

    Raises:
        InputError: One message with every unknown key and unusable value.

    Example:
        >>> make_recipe({"training": {"epochs": 0}}, "my.toml")
        Traceback (most recent call last):
        ...
        pumice.errors.InputError: my.toml: training.epochs: Input should be greater than or equal to 1 (got 0)
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        lines = [_problem(details) for details in error.errors()]
        raise InputError(f"{where}: " + "; ".join(lines)) from error


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a .toml or .json file.

    Raises:
        InputError: The file is missing, is neither TOML nor JSON, or says something that no recipe says.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(f"{file}: cannot be read ({reason})") from error
    if file.suffix == ".json":
        parse = json.loads
    elif file.suffix == ".toml":
        parse = _toml_parser()
    else:
        raise InputError(f"{file}: a recipe is a .toml or .json file")
    try:
        values = parse(text)
    except ValueError as error:
        raise InputError(f"{file}: {error}") from error
    return make_recipe(values, str(file))


def _toml_parser() -> Any:
    name = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    try:
        return import_module(name).loads
    except ModuleNotFoundError as error:
        raise MissingExtraError(name, "train", "reading a TOML recipe on Python 3.10 (JSON works without)") from error


def _put(values: dict[str, Any], keys: list[str], value: Any, setting: str) -> None:
    inner = values
    for key in keys[:-1]:
        inner = inner.get(key, None) if isinstance(inner, dict) else None  # type: ignore[assignment]
        if not isinstance(inner, dict):
            raise InputError(f"--set {setting}: there is no section {key!r}; there are: {', '.join(values)}")
    inner[keys[-1]] = value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def _problem(details: Any) -> str:
    key = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        return f"{key}: there is no such key"
    return f"{key or 'recipe'}: {details['msg']} (got {details['input']!r})"
