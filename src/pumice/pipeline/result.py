"""What comes out of the whole road."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends import Record
from pumice.ir import Graph
from pumice.pipeline.compare import LayerComparison
from pumice.train import Trained

IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class PipelineResult:
    """Accuracies, differences, and the data that a report draws.

    Attributes:
        trained: The deployed network, its data, recipe and history.
        graph: As read back from the file, with its certificate.
        path: The file.
        samples: The encoded test split, shape (n, T, x, y, channel).
        records: s, u, v of every population while the test split ran back to back on the reference backend.
        predictions: Class of each test sample on the reference backend, shape (n,).
        lava_samples: Test samples that Lava ran, back to back.
        torch_comparison: Deployed torch network against the reference: spikes, whole test split.
        lava_comparison: Lava against the reference: s, u and v at every step.
        seconds: Of all stages together.
    """

    trained: Trained
    graph: Graph
    path: Path
    samples: IntArray = field(repr=False)
    records: dict[str, Record] = field(repr=False)
    predictions: IntArray = field(repr=False)
    lava_samples: int
    torch_comparison: tuple[LayerComparison, ...]
    lava_comparison: tuple[LayerComparison, ...]
    seconds: float

    @property
    def accuracy_float(self) -> float:
        """Test accuracy of the network in real numbers, before deployment, 0 to 1."""
        return self.trained.accuracy_float

    @property
    def accuracy_deployed(self) -> float:
        """Test accuracy of the graph, 0 to 1."""
        return float((self.predictions == self.trained.dataset.test.labels).mean())

    @property
    def test_samples(self) -> int:
        """Test samples that the reference backend ran, back to back: all of them."""
        return len(self.predictions)

    @property
    def differing_spikes(self) -> int:
        """Spikes that differ, all layers and steps: Lava's and torch's, each against the reference."""
        return sum(layer.s for layer in (*self.lava_comparison, *self.torch_comparison))

    @property
    def differing_states(self) -> int:
        """Currents and voltages that differ between Lava and the reference."""
        return sum(layer.states for layer in self.lava_comparison)

    @property
    def is_exact(self) -> bool:
        """Whether nothing differs."""
        return self.differing_spikes == 0 and self.differing_states == 0

    @property
    def compared_values(self) -> int:
        """How many values the two numbers of differences are about."""
        by_lava = sum(3 * layer.compared for layer in self.lava_comparison)
        return by_lava + sum(layer.compared for layer in self.torch_comparison)

    def summary(self) -> dict[str, Any]:
        """The figures as plain values, as `pumice demo --json` prints them."""
        return {
            "accuracy_float": round(self.accuracy_float, 4),
            "accuracy_deployed": round(self.accuracy_deployed, 4),
            "test_samples": self.test_samples,
            "lava_samples": self.lava_samples,
            "differing_spikes": self.differing_spikes,
            "differing_states": self.differing_states,
            "compared_values": self.compared_values,
            "lava_layers": [asdict(layer) for layer in self.lava_comparison],
            "torch_layers": [asdict(layer) for layer in self.torch_comparison],
            "seconds": round(self.seconds, 1),
        }
