"""Where a report's network and its samples come from."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from importlib import import_module
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.labelled import items
from pumice.errors import InputError, MissingExtraError
from pumice.files.paths import possible_path
from pumice.files.seal import HDF5
from pumice.ir import Graph, Timing, latencies
from pumice.netx import load
from pumice.reporting.findings import Source

IntArray = npt.NDArray[np.integer[Any]]
CHECKPOINT = "checkpoint.pt"
RANDOM_SAMPLES = 8
RANDOM_STEPS = 32
RANDOM_RATE = 0.2
"""Share of ones where an input takes spikes."""
RANDOM_HIGHEST = 255
"""Of an input whose values are read, where the network does not state its range: a pixel's."""
_TRAINING = "pumice.reporting.training"


def find_file(path: str | os.PathLike[str]) -> Path:
    """The file that a path names: itself, or, of a folder, its checkpoint or its only network.

    Raises:
        InputError: There is no such file, or there are several.
    """
    place = possible_path(path)
    if not place.is_dir():
        return place
    if (place / CHECKPOINT).exists():
        return place / CHECKPOINT
    found = sorted(place.glob("*.net"))
    if len(found) != 1:
        listed = ", ".join(p.name for p in found[:5]) or "none"
        raise InputError(f"{place}: a folder must hold {CHECKPOINT} or one .net file, got: {listed}; name the file")
    return found[0]


def is_network(path: Path) -> bool:
    """Whether a file is an HDF5 file, so that it may be a network and is no checkpoint."""
    try:
        with path.open("rb") as file:
            return file.read(len(HDF5)) == HDF5 or path.suffix == ".net"
    except (OSError, ValueError):
        return path.suffix == ".net"


def training_module() -> ModuleType:
    """What needs PyTorch, loaded now.

    Raises:
        MissingExtraError: A package of the extra "train" is not installed.
    """
    try:
        return import_module(_TRAINING)
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", "train", "a checkpoint, or the data of a recipe") from error


def open_source(
    source: Any,
    *,
    data: Iterable[tuple[Any, ...]] | None,
    data_root: str | os.PathLike[str] | None,
    limit: int,
    trust: Collection[str],
) -> Source:
    """A network with the samples that it is to run.

    Args:
        source: A graph, a file, a folder, or the result of a pipeline.
        data: Samples of the caller's; None for those that the network's own record names.
        data_root: Folder with the data of the recipe.
        limit: At most so many samples.
        trust: See `pumice.train.restore`.

    Raises:
        PumiceError: The source cannot be read.
    """
    opened = _opened(source, limit=limit, trust=trust)
    if data is not None:
        return _with_data(opened, data)
    if opened.pairs is not None:
        return opened
    reason = "the network's file does not say what it was trained on"
    if "recipe" in opened.graph.info:
        root = None if data_root is None else os.fspath(data_root)
        try:
            test = training_module().recorded_pairs(opened.graph, root, limit, trust)
        except (InputError, MissingExtraError) as error:
            reason = f"the data of its recipe are not used ({error})"
        else:
            return replace(opened, pairs=test, data=f"test split of {test.name}")
    return without_labels(opened, reason)


def _opened(source: Any, *, limit: int, trust: Collection[str]) -> Source:
    if isinstance(source, Graph):
        return source_of(source, "a graph", source.info.get("name", "network"))
    if not isinstance(source, str | os.PathLike):
        opened: Source = training_module().from_result(source, limit)
        return opened
    path = find_file(source)
    if is_network(path):
        graph = load(path)
        return source_of(graph, str(path), graph.info.get("name", path.name))
    restored: Source = training_module().from_checkpoint(path, trust)
    return restored


def source_of(graph: Graph, origin: str, title: str, classes: Sequence[str] = ()) -> Source:
    """A graph alone; its classes are those that it names itself, if it names as many as it has outputs."""
    named = tuple(classes) or tuple(graph.info.get("classes", "").split(", "))
    fits = len(named) == graph.output.size
    return Source(title, origin, graph, graph, classes=named if fits else ())


def _with_data(source: Source, data: Iterable[tuple[Any, ...]]) -> Source:
    """Samples of the caller's; a graph that states no sample length takes that of the first sample."""
    samples = items(data)
    first = next(samples, None)
    if first is None:
        raise InputError("the data hold no sample; give pairs of a stream and a label")
    graph = source.graph
    if graph.timing is None:
        graph = graph.replace(timing=Timing(len(first[0]), len(first[0])))
    return replace(source, graph=graph, pairs=chain([first], samples), data="the given samples")


def without_labels(source: Source, reason: str) -> Source:
    """The certificate's input as samples, or random ones; nobody knows what is right."""
    graph = source.graph
    if graph.certificate is not None:
        steps = len(graph.certificate.x)
        graph = graph if graph.timing else graph.replace(timing=Timing(steps, steps))
        samples = certificate_samples(graph)
        what = "the certificate's input"
    else:
        graph = graph if graph.timing else graph.replace(timing=Timing(RANDOM_STEPS, RANDOM_STEPS))
        assert graph.timing is not None
        samples, values = random_samples(graph, graph.timing.sample_steps)
        what = f"random input, {values}: what it shows is about no data"
    note = f"There are no labels, because {reason}. What ran: {what}."
    pairs = [(sample, 0) for sample in samples]
    return replace(source, graph=graph, pairs=pairs, has_labels=False, data=what, notes=(*source.notes, note))


def certificate_samples(graph: Graph) -> IntArray:
    """A certificate's stream cut into samples, shape (n, T, *input shape), without the silence behind the last."""
    assert graph.timing is not None
    assert graph.certificate is not None
    t, x = graph.timing, graph.certificate.x
    steps = latencies(graph)
    n = max(1, (len(x) - t.lead_steps - max(steps[name] for name in graph.outputs)) // t.period_steps)
    samples = np.zeros((n, t.sample_steps, *graph.input.shape), np.int32)
    for i, sample in enumerate(samples):
        part = x[t.lead_steps + i * t.period_steps :][: t.sample_steps]
        sample[: len(part)] = part
    return samples


def random_samples(graph: Graph, steps: int) -> tuple[IntArray, str]:
    """Random input within the range that the network was made for, the same every time; and what it is.

    Example:
        >>> from pumice.ir.builder import chain
        >>> samples, what = random_samples(chain((4,), [3], seed=0), 5)
        >>> samples.shape, what
        ((8, 5, 4), '0 or 1, one in 5 a 1')
    """
    rng = np.random.default_rng(0)
    shape = (RANDOM_SAMPLES, steps, *graph.input.shape)
    reads_values = any(s.graded for s in graph.out_of(graph.input.name))
    stated = graph.input.value_range
    low, high = stated or (0, RANDOM_HIGHEST if reads_values else 1)
    if (low, high) == (0, 1):
        return (rng.random(shape) < RANDOM_RATE).astype(np.int32), f"0 or 1, one in {round(1 / RANDOM_RATE)} a 1"
    unknown = "" if stated else " (its range is not stated)"
    return rng.integers(low, high + 1, shape, dtype=np.int32), f"each value from {low} to {high} as often{unknown}"
