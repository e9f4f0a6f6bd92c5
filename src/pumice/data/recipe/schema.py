"""What a recipe says of its samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from pumice.data.encoders import ENCODING_NAMES
from pumice.data.recipe.reading import READ_UNTIL, RENAMED, checked, put, value_of, warn_of_old_names, with_new_names
from pumice.data.recipe.section import Section, named
from pumice.data.registry import DATASET_NAMES
from pumice.errors import InputError
from pumice.files.plain import plain_problem

if TYPE_CHECKING:
    from typing_extensions import Self

MOST_STEPS = 1_000_000
MOST_THREADS = 1024
"""Beyond what any machine has; the system ends a process that asks for many more."""


class DataSection(Section):
    """Which samples, and how they enter the network.

    Attributes:
        dataset: "digits" (bundled), or one that needs a data root: "mnist", "cifar10" (images), "nmnist",
            "dvs_gesture" (events), "fsdd" (spoken digits, as events), "folder" (your own files, see
            `pumice.data.load_folder`), "image_folder" (images that need not fit in memory, as ImageNet, see
            `pumice.data.load_image_folder`), "image_shards" (the same in WebDataset's tar files, see
            `pumice.data.load_image_shards`); or "package.module:function" of your own, which gives a
            `pumice.data.Dataset`.
        args: The dataset's own keyword arguments, such as fsdd's `leave_out`.
        encoding: For images "direct" (image repeated as graded input) or "rate" (Bernoulli spikes); for events
            "time" (steps of equal duration) or "count" (steps with equally many events); for sequences "sequence";
            or "package.module:Class" of your own, an `AbstractEncoder`.
        encoding_args: Keyword arguments of an encoder of your own.
        steps: Time steps per sample.
        gray_levels: Images: requantise the pixels to this many levels; None keeps them.
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
        cache: Folder for encoded recordings of events, or for the places of images in shards; None keeps them in
            memory.
        workers: Processes that prepare samples; 0 uses the training process. Does not change the result.
    """

    dataset: Annotated[str, named(DATASET_NAMES, "dataset")] = "digits"
    args: dict[str, Any] = {}
    encoding: Annotated[str, named(ENCODING_NAMES, "encoding")] = "direct"
    encoding_args: dict[str, Any] = {}
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 8
    gray_levels: Annotated[int | None, Field(ge=2, le=256)] = None
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
    workers: Annotated[int, Field(ge=0, le=MOST_THREADS)] = 0


class DataRecipe(Section):
    """The part of a recipe that decides which values enter a network.

    Attributes:
        seed: Of chance.
        data: Which samples, and how they enter the network.

    Example:
        >>> DataRecipe(data={"dataset": "mnist"}).overridden(["data.steps=4"]).data.steps
        4
    """

    called: ClassVar[str] = "what a recipe says of its data"

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data: DataSection = DataSection()

    @classmethod
    def from_record(cls, values: Any) -> Self:
        """What a network's file keeps, made a recipe again.

        Raises:
            ValueError: It is none.

        Example:
            >>> DataRecipe.from_record({"data": {"grey_levels": 4}}).data.gray_levels
            4
        """
        if (problem := plain_problem(values, finite=True)) is not None:
            raise ValueError(problem)
        return cls.model_validate(with_new_names(values)[0])

    def data_arguments(self) -> dict[str, Any]:
        """What `load_dataset` is given beside the dataset's name and folder.

        Example:
            >>> DataRecipe(data={"dataset": "fsdd", "args": {"bands": 40}, "cache": "cache"}).data_arguments()
            {'bands': 40, 'cache': 'cache'}
        """
        return self.data.args if self.data.cache is None else {**self.data.args, "cache": self.data.cache}

    def overridden(self, settings: Sequence[str]) -> Self:
        """A copy with some values replaced.

        Args:
            settings: "section.key=value"; the value is JSON (12, 0.5, true, [1, 2]) or else plain text. Within
                `args`, `augment` and their like, a section that is not there yet is made.

        Raises:
            InputError: A setting has no "=", names no such key, or its value does not fit.

        Example:
            >>> DataRecipe().overridden(["seed=2", "data.encoding=rate"]).data.encoding
            'rate'
        """
        values = self.model_dump()
        for setting in settings:
            key, equals, text = setting.partition("=")
            if not equals or not key.strip():
                raise InputError(f"--set {setting}: expected key=value, for example data.steps=4")
            section, *keys = key.strip().split(".")
            if keys and (new := RENAMED.get(section, {}).get(keys[0])) is not None:
                warn_of_old_names("--set", {f"{section}.{keys[0]}": f"{section}.{new}"}, READ_UNTIL)
                keys[0] = new
            put(values, [section, *keys], value_of(text), setting, self.called)
        return checked(type(self), values, "--set")
