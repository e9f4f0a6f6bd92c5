"""Train -> deploy -> fine-tune -> lower -> check -> certify -> write -> run everywhere -> compare."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pumice.backends import get_backend, run
from pumice.backends.compare import LayerComparison, compare_records
from pumice.data import Dataset
from pumice.errors import InputError
from pumice.hardware import LOIHI2, ChipLimits
from pumice.ir import Graph, to_stream
from pumice.names import counted
from pumice.netx import load, save
from pumice.netx.writer import network_path
from pumice.pipeline.compare import run_test_split
from pumice.pipeline.lowered import encoded_test, lower_trained
from pumice.pipeline.result import PipelineResult
from pumice.train import Checkpoint, EpochRecord, Recipe, Trained, train


def _ignore(*_: Any) -> None:
    """The callback of a caller who does not ask for one."""


def run_pipeline(
    recipe: Recipe,
    dataset: Dataset,
    path: str | Path,
    *,
    backend: str = "reference",
    lava_samples: int = 100,
    checkpoint_path: str | Path | None = None,
    resume_from: Checkpoint | None = None,
    on_stage: Callable[[str], None] = _ignore,
    on_epoch: Callable[[EpochRecord], None] = _ignore,
    on_batch: Callable[[], None] = _ignore,
    chip: ChipLimits | None = LOIHI2,
) -> PipelineResult:
    """Train a network, write it, run the test split on a backend, some of it on Lava, and compare every integer.

    What runs is the graph read back from the file. Differences do not raise: see `PipelineResult.is_exact`.

    Args:
        recipe: What to train.
        dataset: The data that the recipe names, see `pumice.data.load_dataset`.
        path: The .net file to write.
        backend: What runs the whole test split; "fast" for large ones.
        lava_samples: Test samples for Lava; at most the whole split. With 0, Lava is left out.
        checkpoint_path: See `pumice.train.train`.
        resume_from: See `pumice.train.train`.
        on_stage: Told in one line which stage begins.
        on_epoch: See `pumice.train.train`.
        on_batch: See `pumice.train.train`.
        chip: See `pumice.lower`.

    Raises:
        PumiceError: Whatever the stages raise.
    """
    if not isinstance(lava_samples, int | np.integer) or lava_samples < 0:
        raise InputError(f"lava_samples must be >= 0, got {lava_samples!r}")
    network_path(path)  # before the work, as the others
    for name in (backend, *["lava"] * (lava_samples > 0)):
        get_backend(name)
    began = time.perf_counter()

    on_stage(f"train on {counted(len(dataset.train), 'sample')} of {dataset.name}")
    trained = train(
        recipe,
        dataset,
        checkpoint_path=checkpoint_path,
        resume_from=resume_from,
        on_epoch=on_epoch,
        on_batch=on_batch,
    )

    on_stage("lower to integers, certify, write the file")
    save(lower_trained(trained, chip=chip), path)
    graph = load(path)

    on_stage(f"run all {len(dataset.test)} test samples back to back on the {backend} backend")
    on_test = run_test_split(graph, trained, backend)

    lava_samples, lava_comparison = _held_to_lava(graph, trained, lava_samples, on_stage)

    return PipelineResult(
        trained=trained,
        graph=graph,
        path=Path(path),
        backend=backend,
        on_test=on_test,
        lava_samples=lava_samples,
        lava_comparison=lava_comparison,
        seconds=time.perf_counter() - began,
    )


def _held_to_lava(
    graph: Graph, trained: Trained, n: int, on_stage: Callable[[str], None]
) -> tuple[int, tuple[LayerComparison, ...]]:
    """How many test samples Lava ran, and what differed from the reference."""
    if n == 0:
        return 0, ()
    samples = encoded_test(trained, n)
    on_stage(f"run {len(samples)} test samples back to back on Lava, recording every state")
    stream = to_stream(graph, samples)
    found = run(graph, stream, backend="lava", record=True).records
    return len(samples), compare_records(run(graph, stream, record=True, backend="reference").records, found)
