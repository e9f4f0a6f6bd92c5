"""Layer by layer: how many integers of two runs differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pumice.backends import Record
from pumice.ir import Graph, from_stream, latencies, torch_to_lava
from pumice.lower.blocks import population_name
from pumice.nn.trace import SYNAPTIC, trace
from pumice.train import Trained, encode
from pumice.train.evaluate import to_tensor


@dataclass(frozen=True)
class LayerComparison:
    """How many values of one population differ between two runs.

    Attributes:
        population: Its name.
        compared: Values of each quantity that were compared.
        s: Spikes that differ.
        u: Currents that differ, or None if they were not compared.
        v: Voltages that differ, or None if they were not compared.
    """

    population: str
    compared: int
    s: int
    u: int | None = None
    v: int | None = None

    @property
    def states(self) -> int:
        """Currents and voltages that differ.

        Example:
            >>> LayerComparison("conv1", compared=100, s=0, u=2, v=3).states
            5
        """
        return (self.u or 0) + (self.v or 0)


def compare_records(expected: dict[str, Record], got: dict[str, Record]) -> tuple[LayerComparison, ...]:
    """Compare two recorded runs of one graph on one stream: s, u and v of every neuron at every step."""

    def differing(name: str, quantity: str) -> int:
        return int(np.count_nonzero(getattr(expected[name], quantity) != getattr(got[name], quantity)))

    return tuple(
        LayerComparison(name, record.s.size, *(differing(name, quantity) for quantity in "suv"))
        for name, record in expected.items()
    )


def compare_with_torch(graph: Graph, records: dict[str, Record], trained: Trained) -> tuple[LayerComparison, ...]:
    """Compare the deployed network's spikes with a run of its graph over the whole test split.

    Args:
        graph: Lowered from the network.
        records: The run; the test samples entered back to back.
        trained: The deployed network and its data.
    """
    n = len(trained.dataset.test)
    lag = latencies(graph)
    windows = {name: from_stream(graph, record.s, n, lag[name]) for name, record in records.items()}
    differing = dict.fromkeys(windows, 0)
    for start, name, spikes in _torch_spikes(trained):
        differing[name] += int(np.count_nonzero(spikes != windows[name][start : start + len(spikes)]))
    return tuple(LayerComparison(name, windows[name].size, count) for name, count in differing.items())


def _torch_spikes(trained: Trained) -> Iterator[tuple[int, str, np.ndarray]]:  # type: ignore[type-arg]
    """Yield index of the batch's first sample, population, spikes (batch, T, *shape)."""
    start = 0
    for stream in encode(trained.encoder, trained.dataset.test.samples, seed=trained.recipe.seed):
        for call in trace(trained.model, to_tensor(stream)):
            if isinstance(call.block, SYNAPTIC):
                yield start, population_name(call), torch_to_lava(call.undelayed.numpy(force=True))
        start += len(stream)
