"""Sequences of unequal length from files: one file each, or all in the arrays of one file."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.data.dataset import Split
from pumice.data.sequences import pad_sequences, split_of_sequences
from pumice.data.whole import whole_numbers
from pumice.errors import InputError
from pumice.files.arrays import read_npy
from pumice.files.reading import reading


def sequences_of_arrays(path: Path, values: Any, offsets: Any, labels: npt.NDArray[Any]) -> Split:
    """Sequences that lie one after the other in one array.

    Args:
        path: The file, for messages.
        values: Shape (all steps, feature).
        offsets: Where each begins, and the end, (N + 1,).
        labels: Classes or targets.

    Raises:
        InputError: The arrays do not fit each other.

    Example:
        >>> split = sequences_of_arrays(Path("a.npz"), np.array([[1], [2], [3]]), [0, 2, 3], np.array([0, 1]))
        >>> split.samples.tolist(), split.lengths.tolist()
        ([[[1, 2]], [[3, 0]]], [2, 1])
    """
    starts = whole_numbers(f"{path}: offsets", offsets)
    if len(starts) < 2 or starts[0] or starts[-1] != len(values) or (np.diff(starts) < 1).any():
        raise InputError(f"{path}: offsets must rise from 0 to the number of steps, {len(values)}, got {starts}")
    try:
        return split_of_sequences(np.split(values, starts[1:-1]), labels)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_sequences(paths: list[Path], labels: npt.NDArray[Any]) -> Split:
    """One sequence from each .npy or .csv file.

    Raises:
        InputError: A file cannot be read, or does not fit the first.
    """
    sequences = [_sequence(path) for path in paths]
    for path, sequence in zip(paths, sequences, strict=True):
        try:
            pad_sequences([sequences[0], sequence])
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return split_of_sequences(sequences, labels)


def without_equal_lengths(parts: dict[str, Split]) -> dict[str, Split]:
    """The same; where all sequences of all parts are equally long, there is nothing to leave out.

    Example:
        >>> part = split_of_sequences([[1, 2], [3, 4]], np.array([0, 1]))
        >>> without_equal_lengths({"train": part})["train"].lengths is None
        True
    """
    found = {int(n) for part in parts.values() if part.lengths is not None for n in part.lengths}
    return {name: replace(part, lengths=None) for name, part in parts.items()} if len(found) == 1 else parts


def _sequence(path: Path) -> npt.NDArray[Any]:
    if path.suffix.lower() == ".npy":
        return read_npy(path)
    with reading(path, "an array of numbers", InputError), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty file is refused as too short
        # Spreadsheets write a byte-order mark, which "utf-8-sig" passes over.
        return np.loadtxt(path, delimiter=",", ndmin=2, encoding="utf-8-sig")
