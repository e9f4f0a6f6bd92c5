"""Labelled samples as a user gives them, checked one by one."""

from __future__ import annotations

import itertools
import operator
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.base import checked_input
from pumice.backends.samples import is_tensor
from pumice.errors import InputError, PumiceWarning
from pumice.ir import Graph
from pumice.ir.stream import timing_of
from pumice.names import counted

IntArray = npt.NDArray[np.integer[Any]]

BATCH_VALUES = 1 << 26
"""So many input values are held at a time."""


def own_steps(lengths: npt.NDArray[np.int64], steps: int) -> npt.NDArray[np.bool_]:
    """Which steps are each sample's own, shape (n, steps).

    Example:
        >>> own_steps(np.array([1, 3]), 3).tolist()
        [[True, False, False], [True, True, True]]
    """
    return np.arange(steps) < lengths[:, None]


def sample_batches(
    graph: Graph, dataset: Iterable[tuple[Any, ...]], first: int = 0
) -> Iterator[list[tuple[IntArray, Any, int]]]:
    """Lists of (stream, class or target, steps that count), as many samples at a time as memory should be used for.

    Args:
        graph: States how long a sample is.
        dataset: Pairs (stream, label), or triples with the steps that count; see `pumice.evaluate`.
        first: Number of the first sample, for messages.

    Raises:
        InputError: A sample, a label or a length does not fit; the message says which sample.

    Example:
        >>> from pumice.ir import Timing
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [2], seed=0).replace(timing=Timing(sample_steps=5, period_steps=5))
        >>> [(label, n) for _, label, n in next(sample_batches(graph, [(np.ones((5, 4), int), 1, 3)]))]
        [(1, 3)]
    """
    timing = timing_of(graph)
    steps = timing.sample_steps
    size = max(1, BATCH_VALUES // ((timing.lead_steps + timing.period_steps) * graph.input.size))

    def checked() -> Iterator[tuple[IntArray, Any, int]]:
        for index, item in enumerate(items(dataset), first):
            try:
                stream, label, *length = _parts(item)
                if index == first:
                    _warn_of_layout(stream)
                sample = checked_input(graph, stream)
                if len(sample) != steps:
                    raise InputError(f"a sample of this graph has {counted(steps, 'step')}, got {len(sample)}")
                yield sample, _class_or_target(label, graph.output.size), _length(length, steps)
            except InputError as error:
                raise InputError(f"sample {index}: {error}") from error

    samples = checked()
    while batch := list(itertools.islice(samples, size)):
        yield batch


def _warn_of_layout(stream: Any) -> None:
    """Tensors are most often in PyTorch's order, which shows, unless the shape is its own reverse."""
    if is_tensor(stream) and stream.ndim > 1 and tuple(stream.shape) == tuple(stream.shape[::-1]):
        warnings.warn(
            f"the first sample is a tensor of shape {tuple(stream.shape)}, which may have time first or last: it is "
            "read in Lava's order, time first. Of PyTorch's order, give numpy.asarray(x).T; an array, of either, is "
            "read without this notice",
            PumiceWarning,
            stacklevel=2,
        )


def _parts(item: Any) -> Any:
    if not isinstance(item, (tuple, list)) or len(item) not in {2, 3}:
        got = f"{len(item)} values" if isinstance(item, (tuple, list)) else type(item).__name__
        raise InputError(f"it must be a pair (stream, label), or a triple with the steps that count, got {got}")
    return item


def _length(given: list[Any], steps: int) -> int:
    """A sample's own steps, where the dataset says how many there are."""
    if not given:
        return steps
    (length,) = given
    if not isinstance(length, int | np.integer) or not 1 <= length <= steps:
        raise InputError(f"the steps that count must be an integer in 1..{steps}, the graph's, got {length!r}")
    return int(length)


def _class_or_target(label: Any, n_classes: int) -> Any:
    if np.ndim(label):
        target = np.asarray(label, np.float64)
        if not np.isfinite(target).all():
            raise InputError("its target must hold finite numbers")
        return target
    try:
        found = operator.index(label)
        if not 0 <= found < n_classes:
            raise InputError(f"its label must lie in 0..{n_classes - 1}, the output's neurons, got {found}")
        return found
    except TypeError as error:
        raise InputError(
            f"its label must be an integer, the number of a class (or an array of targets), got {label!r}"
        ) from error


def items(dataset: Any) -> Iterator[tuple[Any, ...]]:
    """Datasets of torch only know their length and their items.

    Raises:
        InputError: It is no dataset.

    Example:
        >>> next(items(3))
        Traceback (most recent call last):
        pumice.errors.InputError: a dataset must yield pairs (stream, label), as zip(x, labels) does; got int
    """
    if hasattr(dataset, "__iter__"):
        yield from dataset
    elif not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        got = type(dataset).__name__
        raise InputError(f"a dataset must yield pairs (stream, label), as zip(x, labels) does; got {got}")
    else:
        yield from (dataset[i] for i in range(len(dataset)))
