"""The whole test split through a graph, held against the network that it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from pumice.backends import Record, run
from pumice.backends.compare import LayerComparison
from pumice.backends.labelled import own_steps
from pumice.data.encoding import encode
from pumice.ir import Graph, from_stream, latencies, remembers, to_stream, torch_to_lava
from pumice.lowering.blocks import undelayed
from pumice.lowering.synapses import population_name
from pumice.quantization.trace import SYNAPTIC, trace
from pumice.train import Trained
from pumice.train.predict import predict, to_tensor

IntArray = npt.NDArray[np.integer[Any]]

LARGEST_BATCH = 512
BATCH_VALUES = 16_000_000
"""So many values of each quantity are recorded at a time."""


@dataclass(frozen=True, eq=False)
class TestRun:
    """What a graph made of a whole test split, batch by batch, held against the network it came from.

    Attributes:
        predictions: Class of each sample, shape (n,), by its own steps where samples are of unequal length.
        comparison: Spikes that differ from those of the deployed torch network; clocks and relays, which it does not
            have, are listed with nothing compared.
    """

    __test__: ClassVar[bool] = False  # not one of pytest's

    predictions: IntArray
    comparison: tuple[LayerComparison, ...]


def run_test_split(graph: Graph, trained: Trained, backend: str) -> TestRun:
    """Run the test samples back to back, in batches that fit memory, and compare all spikes with the network's.

    Args:
        graph: Lowered from the network.
        trained: The deployed network and its data.
        backend: Name of the one that runs the graph.
    """
    predictions: list[IntArray] = []
    differing = dict.fromkeys((p.name for p in graph.populations), 0)
    compared = dict(differing)
    lengths, start = trained.steps_of(trained.dataset.test), 0
    for samples, expected in _torch_batches(trained, _batch_size(graph)):
        records = run(graph, to_stream(graph, samples), backend=backend, record=True).records
        spikes = windows(graph, records, len(samples))
        answers = spikes[graph.outputs[0]]
        if lengths is not None:
            own = own_steps(lengths[start : start + len(samples)], answers.shape[1])
            answers = answers * own.reshape(*own.shape, *[1] * (answers.ndim - 2))
        predictions.append(predict(answers.sum(1)))
        start += len(samples)
        for name, in_torch in expected.items():
            compared[name] += in_torch.size
            differing[name] += int(np.count_nonzero(in_torch != spikes[name]))
    return TestRun(
        predictions=np.concatenate(predictions),
        comparison=tuple(LayerComparison(name, compared[name], count) for name, count in differing.items()),
    )


def windows(graph: Graph, records: dict[str, Record], n: int) -> dict[str, IntArray]:
    """Each population's spikes within each of n samples that ran back to back: shape (n, T, *shape).

    Clocks are left out: they have no latency, and no sample reaches them.
    """
    return {
        name: from_stream(graph, records[name].s, n, lag) for name, lag in latencies(graph).items() if name in records
    }


def _batch_size(graph: Graph) -> int:
    assert graph.timing is not None
    if remembers(graph):
        return 1
    values = graph.timing.period_steps * sum(p.size for p in graph.populations)
    return max(1, min(LARGEST_BATCH, BATCH_VALUES // values))


def _torch_batches(trained: Trained, batch_size: int) -> Iterator[tuple[IntArray, dict[str, IntArray]]]:
    """Yield samples in Lava's order, and spikes (or a read-out's integers), (batch, T, *shape), by population."""
    images, options = trained.dataset.test.samples, {"seed": trained.recipe.seed, "batch_size": batch_size}
    for stream in encode(trained.encoder, images, workers=trained.recipe.data.workers, **options):
        blocks = (call for call in trace(trained.model, to_tensor(stream)) if isinstance(call.block, SYNAPTIC))
        yield (
            torch_to_lava(stream),
            {population_name(call): undelayed(call) for call in blocks},
        )
