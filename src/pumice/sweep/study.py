"""A sweep's study: which trial is next, and what came of those before."""

from __future__ import annotations

import itertools
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pumice.backends.ranks import Ranks
from pumice.data import Dataset
from pumice.errors import InputError, MissingExtraError, PumiceError
from pumice.files.folders import make_folder
from pumice.files.lock import locked_folder
from pumice.files.write import replace_atomically
from pumice.sweep.journal import Journal, damaged
from pumice.sweep.space import Choice, Range
from pumice.train import Recipe, Trained, load_checkpoint, train
from pumice.train.history import FINETUNE, FLOAT
from pumice.train.next_epoch import kept_record

SAMPLERS = ("tpe", "random", "grid")
_RECIPE, _SPACE = "recipe", "space"
ABANDONED = "its process ended before it had settings"
LONGEST_NOTE = 1000
ATTEMPTS, PAUSE_S = 600, 0.1


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        number: Counted from 0.
        settings: Of each key, its value.
        value: What the validation split says; None where the trial has not ended, or failed.
        why: Why it failed, else "".
    """

    number: int
    settings: Mapping[str, Any]
    value: float | None
    why: str = ""

    @property
    def is_done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.value is not None or bool(self.why)


class Sweep:
    """Trains a recipe again and again, in a folder that any number of processes may share.

    Settings are chosen by Optuna (Akiba et al., KDD 2019) from the validation accuracy of the trials before (of
    regression, the error): the test split is never looked at. Which settings a trial gets depends on the recipe's
    seed, the trial's number and the trials that had ended; a trial whose process was ended is gone on with.

    Args:
        recipe: What is trained; with data.validation.
        space: What is tried; see `parse_space`.
        folder: Where the study and the trials' checkpoints are.
        sampler: "tpe", "random" or "grid" (lists only: each combination once).

    Raises:
        InputError: The recipe has no validation split, a setting does not fit it, or the folder holds another study.
        MissingExtraError: Optuna is not installed.
    """

    def __init__(
        self, recipe: Recipe, space: Mapping[str, Range | Choice], folder: Path, *, sampler: str = "tpe"
    ) -> None:
        self._optuna = _imported_optuna()
        if Ranks.of_environment().world > 1:
            raise InputError(
                "a sweep's processes train a trial each, and torchrun's share one training; start the same command "
                "several times without torchrun"
            )
        _check(recipe, "the recipe")
        if sampler not in SAMPLERS:
            raise InputError(f"--sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}")
        if sampler == "grid" and (ranges := [key for key, what in space.items() if isinstance(what, Range)]):
            raise InputError(f"--sampler grid takes lists of values, and {ranges[0]} is a range; use tpe or random")
        for key, what in space.items():
            if key == "name":
                raise InputError("--over name: a trial's name is the recipe's and its number; leave it out")
            if within := [other for other in space if other.startswith(f"{key}.")]:
                raise InputError(f"--over {within[0]}: is a part of {key}, which is tried, too; leave one out")
            for value in what.examples():
                try:
                    changed = recipe.overridden([_setting(key, value)])
                except InputError as error:
                    raise InputError(f"--over: {str(error).removeprefix('--set: ')}") from error
                _check(changed, f"--over {_setting(key, value)}")
        self.recipe, self.space, self.folder, self._sampler = recipe, space, folder, sampler
        make_folder(folder)
        self._study = self._opened()

    def _opened(self) -> Any:
        optuna = self._optuna
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        path = self.folder / "study.journal"
        journal = Journal(path, optuna)
        try:
            study = optuna.create_study(
                storage=optuna.storages.JournalStorage(journal),
                study_name="pumice",
                direction="maximize",
                load_if_exists=True,
            )
        except PumiceError:
            raise
        except Exception as error:  # whatever lines that say something else lead to
            raise damaged(path) from error
        mine = {
            _RECIPE: json.dumps(self.recipe.record()),
            _SPACE: repr([*self.space.items()]) + self._sampler,  # their order is the grid's
        }
        for name, text in mine.items():
            if study.user_attrs.setdefault(name, text) != text:
                raise InputError(
                    f"{self.folder} holds a sweep of another {name}; give it as it was, or choose another --output"
                )
            study.set_user_attr(name, text)
        return study

    @property
    def combinations(self) -> int | None:
        """How many there are, where all values are listed."""
        total = 1
        for what in self.space.values():
            if isinstance(what, Range):
                return None
            total *= len(what.values)
        return total

    def trials(self) -> list[Trial]:
        """All trials so far."""
        waiting = self._optuna.trial.TrialState.WAITING
        return [self._trial(t) for t in self._study.get_trials(deepcopy=False) if t.state != waiting]

    def _trial(self, frozen: Any) -> Trial:
        settings = {
            key: json.loads(value) if isinstance(self.space[key], Choice) else value
            for key, value in frozen.params.items()
        }
        value = None if frozen.value is None else abs(float(frozen.value))
        why = self._why(frozen.number) if frozen.state == self._optuna.trial.TrialState.FAIL else ""
        return Trial(frozen.number, settings, value, why)

    def _why(self, number: int) -> str:
        try:
            return self._note(number).read_text(encoding="utf-8")[:LONGEST_NOTE]
        except (OSError, ValueError):
            return "failed"

    def _note(self, number: int) -> Path:
        return self.folder / f"trial-{number:04d}" / "failed.txt"

    def best(self) -> Trial | None:
        """The trial with the best validation figure, of equal ones the first; None if none has ended well."""
        done = [t for t in self._study.get_trials(deepcopy=False) if t.value is not None]
        return self._trial(max(done, key=lambda t: (t.value, -t.number))) if done else None

    def checkpoint(self, trial: Trial) -> Path:
        """Where a trial's network is."""
        return self.folder / f"trial-{trial.number:04d}" / "checkpoint.pt"

    def run(
        self, n_trials: int, dataset_for: Callable[[Recipe], Dataset], on_trial: Callable[[Trial], None] | None = None
    ) -> None:
        """Train until `n_trials` trials have begun, those of other processes included, and this process's have ended.

        Args:
            n_trials: How many; of a grid, at most its combinations.
            dataset_for: The data of a recipe.
            on_trial: Called with each trial of this process that has ended.
        """
        while (claimed := self._next(n_trials)) is not None:
            with claimed as trial:
                self._train(trial, dataset_for)
            if on_trial is not None:
                on_trial(self.trials()[trial.number])

    def _next(self, n_trials: int) -> _Held | None:
        """The next trial: one that a process has left behind, or a new one; None if there are enough."""
        with _waited_for(self.folder / "claims" / "next"):
            for trial in self.trials():
                if trial.is_done or self._is_running(trial):
                    continue
                if not self.trials()[trial.number].is_done:  # now that its process has let go of it
                    if trial.settings.keys() == self.space.keys():
                        return self._claimed(trial)
                    self._failed(trial, ABANDONED)
            begun = sum(trial.why != ABANDONED for trial in self.trials())
            if begun >= min(n_trials, (self._sampler == "grid" and self.combinations) or n_trials):
                return None
            self._study.sampler = self._sampler_for(begun)
            waiting = self._study.get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.WAITING,))
            if self._sampler == "grid" and not waiting:
                self._study.enqueue_trial(self._combination(begun))
            asked = self._study.ask()
            settings = {key: what.suggested(asked, key) for key, what in self.space.items()}
            return self._claimed(Trial(asked.number, settings, None))

    def _sampler_for(self, number: int) -> Any:
        """The sampler of one trial: what it draws does not depend on who asks, nor on interruptions."""
        samplers, seed = self._optuna.samplers, (self.recipe.seed + number * (1 << 16)) % (1 << 32)
        if self._sampler == "tpe":
            with warnings.catch_warnings():  # experimental in optuna 4
                warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
                return samplers.TPESampler(seed=seed, constant_liar=True)
        return samplers.RandomSampler(seed=seed)

    def _combination(self, number: int) -> dict[str, str]:
        lists = [what.values for what in self.space.values() if isinstance(what, Choice)]
        found = next(itertools.islice(itertools.product(*lists), number, None))
        return dict(zip(self.space, found, strict=True))

    def _claim(self, trial: Trial) -> Path:
        return self.folder / "claims" / f"{trial.number:04d}"

    def _is_running(self, trial: Trial) -> bool:
        try:
            with locked_folder(self._claim(trial)):
                return False
        except InputError:
            return True

    def _claimed(self, trial: Trial) -> _Held:
        """The trial, held from now on, before others may look."""
        lock = locked_folder(self._claim(trial))
        lock.__enter__()
        return _Held(lock, trial)

    def _train(self, trial: Trial, dataset_for: Callable[[Recipe], Dataset]) -> None:
        """Train, or go on, and tell what came of it.

        Raises:
            PumiceError: What no other settings would mend; the trial can be gone on with.
        """
        path = self.checkpoint(trial)
        settings = [_setting(key, value) for key, value in trial.settings.items()]
        try:
            recipe = self.recipe.overridden([*settings, f"name={self.recipe.name}-{trial.number}"])
            dataset = dataset_for(recipe)
        except (PumiceError, MemoryError) as error:
            dataset_for(self.recipe)  # raises where no other settings would mend it: a folder is not given, say
            self._failed(trial, error)
            return
        try:
            before = load_checkpoint(path) if path.exists() else None
            trained = train(recipe, dataset, checkpoint_path=path, resume_from=before)
        except (PumiceError, MemoryError, torch.OutOfMemoryError) as error:
            if _is_of_the_system(error):
                raise
            self._failed(trial, error)
        else:
            self._study.tell(trial.number, _figure(trained))

    def _failed(self, trial: Trial, error: BaseException | str) -> None:
        why = str(error) or "there is not enough memory"
        make_folder(self._note(trial.number).parent)
        with replace_atomically(self._note(trial.number)) as temporary:
            temporary.write_text(why[:LONGEST_NOTE], encoding="utf-8")
        self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)


def _check(recipe: Recipe, whose: str) -> None:
    """Refuse a recipe whose trials cannot be compared, or are not trained by one process each."""
    if not recipe.data.validation:
        raise InputError(
            f"a sweep chooses by the validation split, and {whose} keeps none: --set data.validation=0.1"
        )
    if recipe.compute.devices != 1:
        raise InputError(
            f"a sweep's trials are trained by one process each, and {whose} asks for compute.devices="
            f"{recipe.compute.devices}; set it to 1"
        )


def _is_of_the_system(error: BaseException | None) -> bool:
    """Whether an error says nothing of the trial's settings: a full disk, a package that is not there."""
    while error is not None:
        if isinstance(error, (OSError, MissingExtraError)):
            return True
        error = error.__cause__
    return False


def _setting(key: str, value: Any) -> str:
    return f"{key}={json.dumps(value)}"


def _figure(trained: Trained) -> float:
    """What the validation split says of the weights that were kept; the larger, the better."""
    phase = FINETUNE if trained.recipe.training.finetune_epochs else FLOAT
    record = kept_record(trained.recipe, trained.history, phase)
    assert record is not None
    if record.validation_accuracy is not None:
        return record.validation_accuracy
    assert record.validation_error is not None
    return -record.validation_error


@contextmanager
def _waited_for(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, which others hold for moments."""
    for left in reversed(range(ATTEMPTS)):
        with ExitStack() as stack:
            try:
                stack.enter_context(locked_folder(folder))
            except InputError:
                if not left:
                    raise
            else:
                yield
                return
        time.sleep(PAUSE_S)


def _imported_optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise MissingExtraError("optuna", "sweep", "a sweep") from error
    return optuna


class _Held:
    """A trial whose folder is this process's until the context ends."""

    def __init__(self, lock: Any, trial: Trial) -> None:
        self._lock, self._trial = lock, trial

    def __enter__(self) -> Trial:
        return self._trial

    def __exit__(self, *raised: Any) -> None:
        self._lock.__exit__(*raised)
