"""Labelled sequences of whole numbers, of unequal length: sensors, sounds' features, anything sampled in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.data.dataset import Dataset, Split, value_bounds
from pumice.data.encoders import AbstractEncoder
from pumice.errors import InputError
from pumice.fixedpoint.formats import STATE
from pumice.names import counted

IntArray = npt.NDArray[np.integer[Any]]


def pad_sequences(sequences: Sequence[npt.ArrayLike]) -> IntArray:
    """Sequences of unequal length as one array, shorter ones with zeros behind them.

    Args:
        sequences: Each of shape (time, feature), or (time,) of one feature; whole numbers.

    Returns:
        Shape (n, feature, time of the longest).

    Raises:
        InputError: A sequence holds fractions, has no step or other dimensions, or another number of features.

    Example:
        >>> pad_sequences([[1, 2, 3], [4]]).tolist()
        [[[1, 2, 3]], [[4, 0, 0]]]
    """
    arrays = [np.asarray(s) for s in sequences]
    if not arrays:
        raise InputError("there is no sequence")
    rows = [a[:, None] if a.ndim == 1 else a for a in arrays]
    features = rows[0].shape[1] if rows[0].ndim == 2 else "feature"
    for index, row in enumerate(rows):
        if row.ndim != 2 or not row.size or row.shape[1] != features:
            raise InputError(
                f"sequence {index}: expected shape (time, {features}) with time >= 1, got {arrays[index].shape}"
            )
        if row.dtype.kind not in "biuf":
            raise InputError(f"sequence {index}: holds {row.dtype}, no whole numbers")
        if row.dtype.kind == "f" and not np.array_equal(row, np.round(row)):
            raise InputError(
                f"sequence {index}: holds fractions or NaN; the chip's input are integers: scale and round them"
            )
        if not STATE.low <= row.min() <= row.max() <= STATE.high:
            raise InputError(f"sequence {index}: values must fit 24 bits with sign, got {row.min()} to {row.max()}")
    padded = np.zeros((len(rows), rows[0].shape[1], max(map(len, rows))), np.int32)
    for index, row in enumerate(rows):
        padded[index, :, : len(row)] = row.T
    return padded


def split_of_sequences(sequences: Sequence[npt.ArrayLike], labels: npt.NDArray[Any]) -> Split:
    """A split of sequences of unequal length, which remembers how long each is.

    Args:
        sequences: See `pad_sequences`.
        labels: Class indices (N,), or targets (N, n) or (N, n, time of the longest), padded with anything finite.

    Raises:
        InputError: See `pad_sequences`.

    Example:
        >>> split_of_sequences([[1, 2, 3], [4]], np.array([0, 1])).lengths.tolist()
        [3, 1]
    """
    return Split(pad_sequences(sequences), labels, np.array([len(np.asarray(s)) for s in sequences], np.int64))


@dataclass(frozen=True, eq=False)
class SequenceDataset(Dataset):
    """Labelled sequences of integers, with zeros behind those that are shorter than the longest.

    Where the splits say how long each sequence is (`split_of_sequences`), the zeros count neither in a loss, in an
    answer, in a regulariser nor in the statistics of `nn.TDBN`.

    Attributes:
        name: For messages and model cards.
        train: What a network may learn from; samples of shape (n, feature, time).
        test: Held back.
        class_names: Name of each label, in order.
        value_range: Smallest and largest value that can occur; it holds 0.
        source: Where the data come from, and their licence.

    Raises:
        InputError: Shapes, types, labels or values do not fit each other.

    Example:
        >>> split = split_of_sequences([[1, 2, 3], [4]], np.array([0, 1]))
        >>> SequenceDataset("demo", split, split, ("up", "down"), (0, 9)).sample_shape
        (1, 1, 1)
    """

    value_range: tuple[int, int]

    def __post_init__(self) -> None:
        low, high = value_bounds(self.name, self.value_range)
        features = {split.samples.shape[1:2] for _, split in self._splits()}
        for where, split in self._splits():
            samples = split.samples
            if samples.ndim != 3 or not np.issubdtype(samples.dtype, np.integer) or len(features) > 1:
                raise InputError(
                    f"{where}: expected integers (N, feature, time), the same features in both splits, got "
                    f"{samples.dtype} of shape {samples.shape}"
                )
            if not low <= 0 <= high or int(samples.min()) < low or int(samples.max()) > high:
                raise InputError(
                    f"{where}: values must lie in {low}..{high}, which must hold 0, got {samples.min()} to "
                    f"{samples.max()}"
                )
            _check_lengths(where, split)
        if (self.train.lengths is None) != (self.test.lengths is None):
            raise InputError(
                f"dataset {self.name}: one split says how long its sequences are (lengths), the other does not; give "
                "both, as split_of_sequences does, or none"
            )
        super().__post_init__()

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        """(feature, 1, 1)."""
        return self.train.samples.shape[1], 1, 1

    @property
    def longest(self) -> int:
        """Steps of the longest sequence."""
        return max(split.samples.shape[2] for _, split in self._splits())


def _check_lengths(where: str, split: Split) -> None:
    lengths, steps = split.lengths, split.samples.shape[2]
    if lengths is None:
        return
    if lengths.shape != (len(split),) or lengths.dtype.kind not in "iu":
        raise InputError(
            f"{where}: lengths must be integers of shape ({len(split)},), one for each sequence, got {lengths.dtype} "
            f"of shape {lengths.shape}"
        )
    if int(lengths.min()) < 1 or int(lengths.max()) > steps:
        raise InputError(f"{where}: lengths must lie in 1..{steps}, got {lengths.min()} to {lengths.max()}")


@dataclass(frozen=True)
class SequenceEncoder(AbstractEncoder):
    """One step of a sequence in each time step, as graded input, and zeros behind its end.

    A chip computes all steps, also those behind a sample's end. Whoever reads the answer counts only the sample's
    own: of n steps that enter, the n that leave after the network's latency.

    Attributes:
        steps: Time steps per sample.
        range: Smallest and largest value.

    Example:
        >>> SequenceEncoder(4, (0, 9)).encode(pad_sequences([[7, 8]]), np.random.default_rng(0)).tolist()
        [[[[[7, 8, 0, 0]]]]]
    """

    without_chance = True
    range: tuple[int, int]

    @property
    def value_range(self) -> tuple[int, int]:
        """The values' own range."""
        return self.range

    def own_steps(self, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """As many as the sequence has."""
        return lengths

    def encode(self, samples: IntArray, rng: np.random.Generator) -> IntArray:
        """Add zeros at the end; `rng` is not used.

        Raises:
            InputError: A sequence is longer than the steps.
        """
        missing = self.steps - samples.shape[2]
        if missing < 0 and samples[:, :, self.steps :].any():
            raise InputError(
                f"data.steps={self.steps} is shorter than a sequence of {counted(samples.shape[2], 'step')}; give "
                "as many, or cut the sequences"
            )
        steps = samples[:, :, : self.steps]
        return np.pad(steps, ((0, 0), (0, 0), (0, max(0, missing))))[:, :, None, None, :]
