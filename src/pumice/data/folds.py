"""Parts of the training split that are held back: for cross-validation, and to decide when to stop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pumice.data.dataset import AnyDataset, Split
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
        MissingExtraError: scikit-learn is not installed.

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
    if dataset.has_targets:
        raise InputError("data.folds are balanced by class, and this dataset has targets, numbers; leave them out")
    try:
        parts = list(StratifiedKFold(k, shuffle=True, random_state=seed).split(labels, labels))
    except ValueError as error:
        raise InputError(f"data.folds: {error}") from error
    learn, held_back = parts[fold]
    return replace(dataset, train=dataset.train.select(learn), test=dataset.train.select(held_back))


def hold_out(dataset: AnyDataset, fraction: float, seed: int) -> tuple[AnyDataset, Split | None]:
    """Take a part of the training split away, balanced by class where there are classes, for validation.

    Args:
        dataset: Any.
        fraction: Of the training split, 0 to below 1; 0 takes nothing.
        seed: Of the choice.

    Returns:
        The dataset with the rest to train with, and the part.

    Raises:
        InputError: The part, or the rest, has not one sample of each class.
        MissingExtraError: scikit-learn is not installed.

    Example:
        >>> from pumice.data import load_digits
        >>> rest, part = hold_out(load_digits(), 0.1, seed=0)
        >>> len(rest.train), len(part)
        (1293, 144)
    """
    if not fraction:
        return dataset, None
    try:
        from sklearn.model_selection import train_test_split
    except ModuleNotFoundError as error:
        raise MissingExtraError("scikit-learn", "train", "a validation split") from error
    labels = dataset.train.labels
    try:
        learn, held_back = train_test_split(
            np.arange(len(labels)),
            test_size=fraction,
            stratify=None if dataset.has_targets else labels,
            random_state=seed,
        )
    except ValueError as error:
        raise InputError(f"data.validation={fraction}: {error}") from error
    return replace(dataset, train=dataset.train.select(learn)), dataset.train.select(held_back)
