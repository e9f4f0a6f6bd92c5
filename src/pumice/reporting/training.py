"""Reports of what was trained: checkpoints, results of a pipeline, and the test data that a recipe names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from pumice.data.recipe import RecordedTest, recorded_test
from pumice.errors import InputError
from pumice.ir import Graph
from pumice.pipeline import PipelineResult, lower_trained
from pumice.pipeline.compare import run_test_split
from pumice.pipeline.lowered import encoded_test
from pumice.reporting.findings import Comparison, Source
from pumice.reporting.sources import source_of
from pumice.train import load_checkpoint, restore

TORCH = "the deployed network in PyTorch"


def recorded_pairs(graph: Graph, root: str | None, limit: int, trust: Collection[str]) -> RecordedTest:
    """The test split that a graph's own recipe names; see `recorded_test`."""
    return recorded_test(graph, root, limit, (), trust)


def from_checkpoint(path: Path, trust: Collection[str]) -> Source:
    """A checkpoint's network, lowered, and held against itself on the samples that the checkpoint carries."""
    checkpoint = load_checkpoint(path)
    trained = restore(checkpoint, trust=trust)
    graph = lower_trained(trained)
    found = run_test_split(graph, trained, "fast")
    notes = () if checkpoint.is_deployed else (_NOT_FINE_TUNED,)
    source = source_of(graph, str(path), trained.recipe.name, trained.dataset.class_names)
    compared = Comparison(TORCH, "the fast backend", len(found.predictions), found.comparison)
    return replace(source, history=trained.history, comparisons=(compared,), notes=notes)


_NOT_FINE_TUNED = (
    "The checkpoint is of a network in real numbers, not fine-tuned yet; for this report it was quantized as it is."
)


def from_result(result: Any, limit: int) -> Source:
    """What `run_pipeline` made, with its test split and what was compared.

    Raises:
        InputError: It is no such result.
    """
    if not isinstance(result, PipelineResult):
        raise InputError(
            f"a report is of a graph, a .net file, a checkpoint, a folder or a PipelineResult, got {result!r:.60}"
        )
    trained = result.trained
    test = trained.dataset.test.first(limit)
    lengths = trained.steps_of(test)
    pairs = zip(encoded_test(trained, limit), test.labels, *(() if lengths is None else (lengths,)), strict=True)
    compared = [Comparison(TORCH, f"the {result.backend} backend", result.test_samples, result.torch_comparison)]
    if result.lava_samples:
        compared.append(Comparison("the reference", "Lava", result.lava_samples, result.lava_comparison))
    source = source_of(result.graph, str(result.path), trained.recipe.name, trained.dataset.class_names)
    return replace(
        source,
        pairs=pairs,
        data=f"test split of {trained.dataset.name}",
        history=trained.history,
        comparisons=tuple(compared),
    )
