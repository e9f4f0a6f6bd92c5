"""A test set in parts: files that processes share, and that a run which was ended before need not run again."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from pumice.backends import DEFAULT, get_backend
from pumice.backends.evaluate import Evaluation, Evaluator, wanted_checks
from pumice.backends.ranks import Ranks
from pumice.errors import InputError, PumiceError
from pumice.files.arrays import read_npz, write_npz
from pumice.files.folders import make_folder
from pumice.ir import Graph
from pumice.ir.digest import graph_digests
from pumice.ir.stream import timing_of
from pumice.names import counted
from pumice.requirements import installed

PART_SAMPLES = 64
_ARRAYS = (
    "digest",
    "labels",
    "predictions",
    "lengths",
    "spikes",
    "spike_names",
    "events",
    "event_names",
    "neuron_spikes",
)


def evaluate_in_parts(
    graph: Graph,
    dataset: Iterable[tuple[Any, ...]],
    n: int,
    folder: Path,
    *,
    ranks: Ranks | None = None,
    check: Mapping[Any, int] | None = None,
    readout: str | None = None,
    progress: Callable[[int], None] | None = None,
    **options: Any,
) -> Evaluation | None:
    """Evaluate a dataset part by part, each process those of its rank; the result is `pumice.evaluate`'s.

    A part is a file of `folder`. One that is there, of the same samples through the same graph on the same backend,
    is not run again; any other is.

    Args:
        graph: See `pumice.evaluate`, as the other arguments.
        dataset: Likewise, the same for all processes. If it has a method ``samples_at(indices)`` that gives the
            samples of these numbers, a process asks for those of its parts only, and the first one for the first
            sample of each part, too.
        n: How many samples it holds.
        folder: The parts' folder, which all processes share.
        ranks: Which process this is; as torchrun says, if not given.
        check: Likewise; done by the first process.
        readout: Likewise.
        progress: Called with the number of samples that this process has passed.
        options: Of `Evaluator`.

    Returns:
        The evaluation of all samples, for the first process; None for the others.

    Raises:
        InputError: See `pumice.evaluate`; or the folder cannot be written to; or another process has another graph,
            backend, version of pumice or number of samples, or a part begins with another sample there.

    Example:
        >>> import tempfile
        >>> from pumice.ir import Timing
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 2], seed=0).replace(timing=Timing(sample_steps=5, period_steps=5))
        >>> samples = [(np.ones((5, 4), int), 1), (np.zeros((5, 4), int), 0)]
        >>> result = evaluate_in_parts(graph, samples, 2, Path(tempfile.mkdtemp()), ranks=Ranks())
        >>> result.spikes["input"].tolist()
        [20, 0]
    """
    ranks = Ranks.of_environment() if ranks is None else ranks
    checks = dict(wanted_checks(check))
    if n < 1:
        raise InputError("the dataset holds no sample")
    make_folder(folder)
    runner = _Runner(graph, readout, options)
    count = -(-n // PART_SAMPLES)
    paths = [folder / f"part-{index:05d}-of-{count:05d}.npz" for index in range(count)]
    n_checked = max(checks.values(), default=0) if ranks.rank == 0 else 0
    meet = ranks.meeting()
    mine = {*range(ranks.rank, count, ranks.world)}
    head: list[tuple[Any, ...]] = []
    digests: dict[int, str] = {}
    firsts: dict[int, str] = {}
    wanted = [
        i
        for i in range(n)
        if i // PART_SAMPLES in mine or i < n_checked or (ranks.rank == 0 and i % PART_SAMPLES == 0)
    ]
    for index, of_part in itertools.groupby(_chosen(dataset, wanted, n), lambda sample: sample[0] // PART_SAMPLES):
        numbered = [*of_part]
        samples = [sample for _, sample in numbered]
        firsts[index] = runner.digest(samples[:1])
        head += [sample for i, sample in numbered if i < n_checked]
        if index in mine:
            digests[index] = runner.part(paths[index], samples, index * PART_SAMPLES)
        if progress is not None:
            progress(min(n, (index + 1) * PART_SAMPLES))
    met = meet((n, runner.identity, digests, {index: firsts[index] for index in digests}))
    if ranks.rank:
        return None
    for rank, (their_n, identity, _, their_firsts) in enumerate(met):
        if (their_n, identity) != (n, runner.identity) or any(firsts[i] != s for i, s in their_firsts.items()):
            raise InputError(
                f"the process of rank {rank} evaluates another network, other samples, or with another version of "
                "pumice or backend, than that of rank 0; give all of them the same"
            )
    said = {index: digest for _, _, of_rank, _ in met for index, digest in of_rank.items()}
    checked = dict(runner.evaluator()(head, check=checks).checked) if checks else {}
    parts = [_read(path) for path in paths]
    for index, (path, part) in enumerate(zip(paths, parts, strict=True)):
        if str(part["digest"]) != said[index]:
            raise InputError(
                f"{path}: is of another evaluation that shares the folder, or the folder's file system is late; "
                "run it again, or choose another folder"
            )
    return _joined(parts, graph, checked, runner)


def _chosen(dataset: Any, wanted: list[int], n: int) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Samples with their numbers; of a dataset that can choose, the others are not made."""
    if hasattr(dataset, "samples_at"):
        for index, sample in itertools.zip_longest(wanted, dataset.samples_at(wanted)):
            if index is None or sample is None:
                raise InputError(
                    f"the dataset's samples_at gives {'more' if index is None else 'fewer'} than asked for"
                )
            yield index, sample
        return
    samples, done = iter(dataset), 0
    for index in wanted:
        passed = [*itertools.islice(samples, index - done), *itertools.islice(samples, 1)]
        done += len(passed)
        if done <= index:
            raise InputError(f"the dataset holds {counted(done, 'sample')}, not {n:,}")
        yield index, passed[-1]


class _Runner:
    """Prepares the graph where a part has to be run."""

    def __init__(self, graph: Graph, readout: str | None, options: dict[str, Any]) -> None:
        self._graph, self._readout, self._options = graph, readout, options
        backend = type(get_backend(options.get("backend", DEFAULT)))
        of_graph = (sorted(graph_digests(graph).items()), graph.info.get("unit"), readout)
        facts = (installed("pumice"), backend.__module__, backend.__qualname__, *of_graph)
        self.identity = repr(facts)
        self._evaluator: Evaluator | None = None
        self.seconds = 0.0

    def evaluator(self) -> Evaluator:
        """The prepared graph."""
        if self._evaluator is None:
            self._evaluator = Evaluator(self._graph, readout=self._readout, **self._options)
        return self._evaluator

    @property
    def prepare_seconds(self) -> float:
        """What preparing took."""
        return 0.0 if self._evaluator is None else self._evaluator.prepare_seconds

    def part(self, path: Path, samples: list[tuple[Any, ...]], first: int) -> str:
        """Run and write a part, unless it is there; its digest."""
        digest = self.digest(samples)
        if path.exists():
            with suppress(PumiceError):  # a damaged one
                if str(_read(path)["digest"]) == digest:
                    return digest
        result = self.evaluator()(samples, first=first)
        self.seconds += result.seconds
        steps = timing_of(self._graph).sample_steps
        arrays = {
            "digest": np.array(digest),
            "labels": result.labels,
            "predictions": result.predictions,
            "lengths": np.full(len(samples), steps) if result.lengths is None else result.lengths,
            "spikes": np.stack([*result.spikes.values()]),
            "spike_names": np.array([*result.spikes]),
            "events": np.stack([*result.synaptic_events.values()]),
            "event_names": np.array([*result.synaptic_events]),
            "neuron_spikes": np.concatenate([*result.neuron_spikes.values()]),
        }
        write_npz(path, arrays)
        return digest

    def digest(self, samples: list[tuple[Any, ...]]) -> str:
        """SHA-256 of graph, backend and what enters; "" of samples that are none, which whoever runs them names."""
        sha = hashlib.sha256(self.identity.encode())
        try:
            for stream, *given in samples:
                found = np.asarray(stream)
                x = np.ascontiguousarray(found, "<i8")
                sha.update(f"{x.shape} {found.dtype.kind in 'iub'} {len(given)}".encode())
                sha.update(x.tobytes())
                for number in given:
                    value = np.asarray(number, "<f8")
                    sha.update(f"{value.shape}".encode())
                    sha.update(value.tobytes())
        except (TypeError, ValueError):
            return ""
        return sha.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    return dict(zip(_ARRAYS, read_npz(path, _ARRAYS), strict=True))


def _joined(parts: list[dict[str, Any]], graph: Graph, checked: dict[str, int], runner: _Runner) -> Evaluation:
    """All parts as one."""
    if len({part["labels"].shape[1:] for part in parts}) > 1:
        raise InputError("some samples have a class, others an array of targets, or targets of another shape")
    labels, predictions, lengths = (
        np.concatenate([part[name] for part in parts]) for name in ("labels", "predictions", "lengths")
    )
    spikes, events = (np.concatenate([part[name] for part in parts], axis=1) for name in ("spikes", "events"))
    names = [str(name) for name in parts[0]["spike_names"]]
    of_neurons = sum(part["neuron_spikes"] for part in parts)
    ends = np.cumsum([int(np.prod(graph.shape_of(name))) for name in names])
    all_count = bool((lengths == timing_of(graph).sample_steps).all())
    return Evaluation(
        labels=labels,
        predictions=predictions,
        spikes=dict(zip(names, spikes, strict=True)),
        synaptic_events=dict(zip(map(str, parts[0]["event_names"]), events, strict=True)),
        checked=checked,
        seconds=runner.seconds,
        prepare_seconds=runner.prepare_seconds,
        lengths=None if all_count else lengths,
        neuron_spikes=dict(zip(names, np.split(of_neurons, ends[:-1]), strict=True)),
    )
