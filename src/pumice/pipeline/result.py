"""What comes out of the whole road."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.compare import LayerComparison
from pumice.ir import Graph
from pumice.pipeline.compare import TestRun
from pumice.train import Trained

IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class PipelineResult:
    """Accuracies, differences, and the data that a report draws.

    Attributes:
        trained: The deployed network, its data, recipe and history.
        graph: As read back from the file, with its certificate.
        path: The file.
        backend: Name of the one that ran the whole test split.
        on_test: What it answered, held against the deployed torch network.
        lava_samples: Test samples that Lava ran, back to back.
        lava_comparison: Lava against the reference: s and all states at every step.
        seconds: Of all stages together.
    """

    trained: Trained
    graph: Graph
    path: Path
    backend: str
    on_test: TestRun = field(repr=False)
    lava_samples: int
    lava_comparison: tuple[LayerComparison, ...]
    seconds: float

    @property
    def predictions(self) -> IntArray:
        """Class of each test sample, shape (n,)."""
        return self.on_test.predictions

    @property
    def torch_comparison(self) -> tuple[LayerComparison, ...]:
        """Deployed torch network against the backend: spikes and answers, whole test split."""
        return self.on_test.comparison

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
        """Test samples that the backend ran, back to back: all of them."""
        return len(self.predictions)

    @property
    def differing_spikes(self) -> int:
        """Spikes that differ, all layers and steps: Lava's against the reference, torch's against the backend."""
        return sum(layer.s for layer in (*self.lava_comparison, *self.torch_comparison))

    @property
    def differing_states(self) -> int:
        """Currents, voltages and other states that differ between Lava and the reference."""
        return sum(layer.states for layer in self.lava_comparison)

    @property
    def is_exact(self) -> bool:
        """Whether nothing differs."""
        return self.differing_spikes == 0 and self.differing_states == 0

    @property
    def compared_values(self) -> int:
        """How many values the two numbers of differences are about."""
        return sum(layer.compared * layer.quantities for layer in (*self.lava_comparison, *self.torch_comparison))

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
