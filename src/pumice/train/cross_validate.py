"""One recipe, trained once for each fold: the spread says how far an accuracy can be trusted."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pumice.data import load_dataset
from pumice.errors import InputError
from pumice.train.loop import train
from pumice.train.recipe import Recipe


@dataclass(frozen=True)
class FoldResult:
    """What one fold gave.

    Attributes:
        name: The fold.
        held_back: Samples that were held back.
        accuracy_float: Of the held-back samples, in real numbers, 0 to 1.
        accuracy_deployed: The same in the chip's integers; None if the recipe has no fine-tuning.
    """

    name: str
    held_back: int
    accuracy_float: float
    accuracy_deployed: float | None


def fold_recipes(recipe: Recipe, leave_out: Sequence[str] = ()) -> Iterator[tuple[str, Recipe]]:
    """The recipe of each fold, with its name.

    Args:
        recipe: With `data.folds`, one recipe for each part of the training split.
        leave_out: Instead: values of the dataset's argument `leave_out`, one recipe for each.

    Raises:
        InputError: The recipe has no folds, or both kinds are asked for.

    Example:
        >>> recipe = Recipe(data={"folds": 3})
        >>> [(name, fold.data.fold) for name, fold in fold_recipes(recipe)]
        [('fold0', 0), ('fold1', 1), ('fold2', 2)]
    """
    if bool(leave_out) == (recipe.data.folds is not None):
        raise InputError("cross-validation needs either data.folds (--set data.folds=10) or groups to leave out")
    if leave_out:
        for group in leave_out:
            yield group, recipe.overridden([f'data.args.leave_out="{group}"'])
    for fold in range(recipe.data.folds or 0):
        yield f"fold{fold}", recipe.overridden([f"data.fold={fold}"])


def cross_validate(
    recipe: Recipe,
    data_root: Any = None,
    *,
    leave_out: Sequence[str] = (),
    on_fold: Callable[[FoldResult], None] = lambda _: None,
) -> list[FoldResult]:
    """Train the recipe once for each fold.

    Args:
        recipe: What to train.
        data_root: See `pumice.data.load_dataset`.
        leave_out: See `fold_recipes`.
        on_fold: Called after each fold.

    Raises:
        InputError: The recipe has no folds, or training fails.
    """
    results = []
    for name, fold in fold_recipes(recipe, leave_out):
        trained = train(fold, load_dataset(fold.data.dataset, data_root, **fold.data_arguments()))
        results.append(FoldResult(name, len(trained.dataset.test), trained.accuracy_float, trained.accuracy_deployed))
        on_fold(results[-1])
    return results


def spread(accuracies: Sequence[float]) -> str:
    """Mean and standard deviation between folds, in percent.

    Example:
        >>> spread([0.9, 0.92, 0.94])
        '92.00 +- 2.00 %'
    """
    deviation = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    return f"{100 * statistics.mean(accuracies):.2f} +- {100 * deviation:.2f} %"
