"""What is trained on what, and how: a typed description that fits in a small file."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pumice import names
from pumice.data import DATASET_NAMES
from pumice.data.encoders import ENCODING_NAMES
from pumice.errors import InputError, MissingExtraError
from pumice.nn.neurons.gradients import GRADIENTS
from pumice.nn.surrogate import SURROGATES
from pumice.train.losses.registry import LOSS_NAMES
from pumice.train.optimizers import OPTIMIZERS


def _named(known: Iterable[str], what: str) -> AfterValidator:
    """Check a name of a table, or the form of one of the user's own, as soon as the recipe is read."""

    def check(name: str | None) -> str | None:
        if name is not None and name not in known and not names.is_own(name):
            raise ValueError(names.unknown(name, known, what))
        return name

    return AfterValidator(check)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(_Section):
    """Which samples, and how they enter the network.

    Attributes:
        dataset: "digits" (bundled), or one that needs a data root: "mnist", "cifar10" (images), "nmnist",
            "dvs_gesture" (events), "fsdd" (spoken digits, as events), "folder" (your own files, see
            `pumice.data.load_folder`); or "package.module:function" of your own, which gives a `pumice.data.Dataset`.
        args: The dataset's own keyword arguments, such as fsdd's `leave_out`.
        encoding: For images "direct" (image repeated as graded input) or "rate" (Bernoulli spikes); for events
            "time" (steps of equal duration) or "count" (steps with equally many events); for sequences "sequence";
            or "package.module:Class" of your own, an `AbstractEncoder`.
        encoding_args: Keyword arguments of an encoder of your own.
        steps: Time steps per sample.
        grey_levels: Images: requantise the pixels to this many levels; None keeps them.
        window: Events: microseconds per step for "time"; None divides the dataset's usual duration by `steps`.
        max_count: Events: largest value of an input in one step; 1 makes spikes.
        downsample: Events: side of the square of pixels that become one.
        max_train: Use only the first so many training samples.
        max_test: Use only the first so many test samples.
        folds: Cross-validate: hold back one of so many parts of the training split, in place of the test split.
        fold: Which part, from 0.
        fold_seed: Of the shuffling before parts are taken.
        validation: Fraction of the training split that is kept from training, for early stopping.
        noise: Images: standard deviation, in grey levels, of noise added in training, rounded to integers.
        augment: Random changes in training: name -> arguments, see `pumice.data.augment`.
        cache: Folder for encoded recordings of events; None keeps them in memory.
        workers: Processes that prepare samples; 0 uses the training process. Does not change the result.
    """

    dataset: Annotated[str, _named(DATASET_NAMES, "dataset")] = "digits"
    args: dict[str, Any] = {}
    encoding: Annotated[str, _named(ENCODING_NAMES, "encoding")] = "direct"
    encoding_args: dict[str, Any] = {}
    steps: Annotated[int, Field(ge=1)] = 8
    grey_levels: Annotated[int | None, Field(ge=2, le=256)] = None
    window: Annotated[float | None, Field(gt=0)] = None
    max_count: Annotated[int, Field(ge=1, le=255)] = 1
    downsample: Annotated[int, Field(ge=1)] = 1
    max_train: Annotated[int | None, Field(ge=1)] = None
    max_test: Annotated[int | None, Field(ge=1)] = None
    folds: Annotated[int | None, Field(ge=2)] = None
    fold: Annotated[int, Field(ge=0)] = 0
    fold_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.0
    noise: Annotated[float, Field(ge=0)] = 0.0
    augment: dict[str, dict[str, Any]] = {}
    cache: str | None = None
    workers: Annotated[int, Field(ge=0)] = 0


class NeuronSection(_Section):
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
        gradient: "slayer", "stbp" (through the reset), "stbp-detached", or "package.module:Class" of your own (a
            `pumice.nn.Gradient`); None leaves the network's own choice.
        norm: "tdbn" (threshold-dependent batch norm) or "none".
    """

    threshold: Annotated[float, Field(gt=0)] = 0.5
    current_decay: Annotated[float, Field(ge=0, le=1)] = 1.0
    voltage_decay: Annotated[float, Field(ge=0, le=1)] = 0.75
    tau_grad: Annotated[float, Field(gt=0)] = 0.03
    scale_grad: Annotated[float, Field(gt=0)] = 3.0
    surrogate: Annotated[str | None, _named(SURROGATES, "surrogate")] = None
    surrogate_args: dict[str, Annotated[float, Field(gt=0)]] = {}
    gradient: Annotated[str | None, _named(GRADIENTS, "gradient")] = None
    norm: Literal["tdbn", "none"] = "tdbn"


class NetworkSection(_Section):
    """Which network.

    Attributes:
        name: A name in `pumice.models`, or "package.module:object" of your own: a class or function that makes it,
            and is given `neuron_params`, `image_shape` and `n_classes` as far as it has arguments of these names.
        args: Its own keyword arguments.
        weights: Checkpoint of another run, with whose weights the network begins as far as they fit.
    """

    name: str = "convnet"
    args: dict[str, Any] = {}
    weights: str | None = None


class EarlyStoppingSection(_Section):
    """When the first phase, in real numbers, ends before its last epoch.

    Attributes:
        monitor: "train_loss", or "validation_loss" or "validation_accuracy" (need `data.validation`). Never the
            test split.
        patience: Epochs without improvement after which the phase ends.
        min_delta: What counts as an improvement.
    """

    monitor: Literal["train_loss", "validation_loss", "validation_accuracy"] = "train_loss"
    patience: Annotated[int, Field(ge=1)] = 5
    min_delta: Annotated[float, Field(ge=0)] = 0.0


class TrainingSection(_Section):
    """How the weights are found.

    Attributes:
        epochs: Passes over the training split in real numbers.
        finetune_epochs: Further passes through the chip's integers (quantisation-aware).
        batch_size: Samples per batch, of all processes together.
        accumulate: Batches whose mean gradient makes one step of the optimiser.
        initial_rate: Spikes per neuron and step to which every layer is brought before the first epoch, on the first
            `batch_size` training samples (`initialise_by_data_`); None leaves the weights as drawn.
        threads: CPU threads of torch; part of the recipe because sums in another order give other bits. One is
            fastest for small networks (and on a busy machine); None leaves torch's own choice.
        optimizer: "adamw", "adam" or "sgd"; or any other as "package.module:Class" ("torch.optim:RAdam").
        optimizer_args: Its own keyword arguments, beside lr and weight_decay.
        momentum: Of "sgd".
        lr: Learning rate at the start; falls to 0 along a cosine within each phase.
        finetune_lr: The same for the fine-tuning phase.
        delay_lr: Learning rate of axonal delays, in steps, times lr; they have no weight decay.
        warmup_epochs: Epochs over which the learning rate of the first phase rises from 0.
        weight_decay: The optimiser's.
        clip_norm: Largest norm of all gradients together; None does not clip.
        loss: Name in `pumice.train.losses`, or "package.module:Class" of your own; see `make_loss`.
        loss_args: The loss's own keyword arguments.
        regularisers: Name in `pumice.train.regularisers`, or "package.module:Class" of your own -> its keyword
            arguments.
        freeze: Names of parameters that do not learn, with * and ?: ["body.*"]. A block frozen as a whole keeps its
            statistics, too.
        early_stopping: When to stop before the last epoch; None trains all epochs.
        checkpoint_every_steps: Write the checkpoint also after so many steps of the optimiser within an epoch.
    """

    epochs: Annotated[int, Field(ge=1)] = 20
    finetune_epochs: Annotated[int, Field(ge=0)] = 4
    batch_size: Annotated[int, Field(ge=2)] = 64
    accumulate: Annotated[int, Field(ge=1)] = 1
    initial_rate: Annotated[float | None, Field(gt=0, lt=1)] = None
    threads: Annotated[int | None, Field(ge=1)] = 1
    optimizer: Annotated[str, _named(OPTIMIZERS, "optimiser")] = "adamw"
    optimizer_args: dict[str, Any] = {}
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    lr: Annotated[float, Field(gt=0)] = 1e-2
    finetune_lr: Annotated[float, Field(gt=0)] = 1e-3
    delay_lr: Annotated[float, Field(ge=0)] = 10.0
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    clip_norm: Annotated[float | None, Field(gt=0)] = None
    loss: Annotated[str, _named(LOSS_NAMES, "loss")] = "spike_count_cross_entropy"
    loss_args: dict[str, Any] = {}
    regularisers: dict[str, dict[str, Any]] = {}
    freeze: list[str] = []
    early_stopping: EarlyStoppingSection | None = None
    checkpoint_every_steps: Annotated[int | None, Field(ge=1)] = None


class ComputeSection(_Section):
    """On what it is computed (Lightning Fabric's names).

    Attributes:
        accelerator: "cpu", "cuda", "mps", or "auto" (the best there is).
        devices: Processes of one machine, each with a device; more than one are started by torchrun.
        precision: "32-true", or "bf16-mixed" for the phase in real numbers; integers are always computed in 32.
    """

    accelerator: Literal["cpu", "cuda", "mps", "auto"] = "cpu"
    devices: Annotated[int, Field(ge=1)] = 1
    precision: Literal["32-true", "bf16-mixed"] = "32-true"


class LoggingSection(_Section):
    """What is written beside the checkpoint.

    Attributes:
        csv: `steps.csv` (loss, accuracy and learning rate of every step) and `epochs.csv`.
        tensorboard: The same figures as events for TensorBoard, in the folder `tensorboard`.
    """

    csv: bool = True
    tensorboard: bool = False


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
                values[key] = {k: v for k, v in value.items() if k in kept}
        return values

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
            _put(values, key.strip().split("."), _value(text), setting)
        return make_recipe(values, "--set")


_MACHINE = {"cache", "workers"}  # of no influence on the result
_FIRST_RELEASE: dict[str, set[str]] = {
    "data": {"dataset", "encoding", "steps", "grey_levels", "max_train", "max_test", "noise"},
    "neuron": set(NeuronSection.model_fields) - {"surrogate", "surrogate_args", "gradient"},
    "network": {"name", "args"},
    "training": {
        *("epochs", "finetune_epochs", "batch_size", "threads", "lr", "finetune_lr", "weight_decay"),
        *("loss", "loss_args"),
    },
}


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
    except ValueError:
        return text.strip()


def _problem(details: Any) -> str:
    key = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        return f"{key}: there is no such key ({_allowed(details['loc'])})"
    if details["type"] == "value_error":
        return f"{key}: {details['ctx']['error']}"
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
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                keys += _keys(kind, f"{prefix}{name}.")
    return keys
