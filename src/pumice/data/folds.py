"""Cross-validation: another part of the training split is held back each time."""

from __future__ import annotations

from dataclasses import replace

from pumice.data.dataset import AnyDataset
from pumice.errors import InputError, MissingExtraError


def take_fold(dataset: AnyDataset, k: int, fold: int, seed: int) -> AnyDataset:
    """The dataset with one of k equal parts of its *training* split held back in place of its test split.

    The parts are balanced by class (scikit-learn's StratifiedKFold); the official test split is not used.

    Args:
        dataset: Split as published.
        k: Number of parts, >= 2.
        fold: Which part is held back, 0 to k - 1.
        seed: Of the shuffling before parts are taken.

    Raises:
        InputError: The numbers do not fit the dataset.

    Example:
        >>> from pumice.data import load_digits
        >>> fold = take_fold(load_digits(), k=10, fold=0, seed=0)
        >>> len(fold.train), len(fold.test)
        (1293, 144)
    """
    try:
        from sklearn.model_selection import StratifiedKFold
    except ModuleNotFoundError as error:
        raise MissingExtraError("scikit-learn", "train", "cross-validation") from error
    if not (k >= 2 and 0 <= fold < k <= len(dataset.train)):
        raise InputError(
            f"data.folds must lie in 2..{len(dataset.train)} and data.fold in 0..folds - 1, got {k} and {fold}"
        )
    labels = dataset.train.labels
    try:
        parts = list(StratifiedKFold(k, shuffle=True, random_state=seed).split(labels, labels))
    except ValueError as error:
        raise InputError(f"data.folds: {error}") from error
    learn, held_back = parts[fold]
    return replace(dataset, train=dataset.train.select(learn), test=dataset.train.select(held_back))
