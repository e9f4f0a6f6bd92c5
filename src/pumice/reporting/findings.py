"""What a report says, as plain data: the page is drawn from it and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pumice.backends.compare import LayerComparison
from pumice.backends.evaluate import Evaluation
from pumice.ir import Graph
from pumice.planner.plans import Plan

if TYPE_CHECKING:
    from pumice.train import EpochRecord

IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Comparison:
    """Two runs of one network on the same input, held against each other.

    Attributes:
        expected: What one run is of.
        got: What the other is of.
        samples: How many samples, or streams, both ran.
        layers: What was compared and what differs, for each population.
    """

    expected: str
    got: str
    samples: int
    layers: tuple[LayerComparison, ...]

    @property
    def compared(self) -> int:
        """Integers that were compared."""
        return sum(layer.compared * layer.quantities for layer in self.layers)

    @property
    def differing(self) -> int:
        """Integers that differ."""
        return sum(layer.s + layer.states for layer in self.layers)


@dataclass(frozen=True, eq=False)
class Source:
    """A network, and all that came with it.

    Attributes:
        title: The network's name.
        origin: The file, or what else it is from.
        graph: The network, with a timing.
        certified: The network as it was read: one without a timing was certified so.
        pairs: Samples as `pumice.evaluate` takes them; None as long as there are none.
        has_labels: Whether the labels are anybody's, so that right and wrong mean something.
        data: What the samples are.
        classes: Name of each class, or of each number that is answered; empty where they have none.
        history: A record of each epoch, if the training is known.
        comparisons: What was compared already.
        notes: What the reader of the report should know.
    """

    title: str
    origin: str
    graph: Graph
    certified: Graph
    pairs: Iterable[tuple[Any, ...]] | None = None
    has_labels: bool = True
    data: str = ""
    classes: tuple[str, ...] = ()
    history: tuple[EpochRecord, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()

    def class_name(self, index: int) -> str:
        """What a class is called."""
        return self.classes[index] if index < len(self.classes) else str(index)


@dataclass(frozen=True)
class LayerFacts:
    """One population while the samples ran.

    Attributes:
        name: Its name.
        kind: Of its neurons.
        shape: Of the population.
        spikes: Per sample, on the mean.
        rate: Share of neurons and steps with a spike, or a value other than 0.
        dead: Neurons that never sent anything.
        saturated: Neurons that sent a spike in nearly every step; None where values are sent.
        threshold: Its mantissa; None without one.
        bias: Smallest and largest bias mantissa; None without one.
        largest: State -> its largest size in the samples that are shown.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    spikes: float
    rate: float
    dead: int
    saturated: int | None
    threshold: int | None
    bias: tuple[int, int] | None
    largest: dict[str, int]

    @property
    def neurons(self) -> int:
        """How many there are."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class SynapseFacts:
    """The weights of one synapse.

    Attributes:
        source: Where it comes from.
        target: Where it leads.
        kind: Of the synapse.
        count: Weights that are stored.
        zeros: How many of them are 0.
        low: The smallest.
        high: The largest.
        distinct: How many different values there are.
        exponent: Left shift of the sum.
        bits: Of each weight in a core's memory (`fixedpoint.weights.stored_bits`).
        histogram: How many weights lie in each of some equal parts of low..high.
    """

    source: str
    target: str
    kind: str
    count: int
    zeros: int
    low: int
    high: int
    distinct: int
    exponent: int
    bits: int
    histogram: tuple[int, ...]

    @property
    def label(self) -> str:
        """Both its ends."""
        return f"{self.source} → {self.target}"


@dataclass(frozen=True, eq=False)
class ShownSample:
    """One sample as it went through the network.

    Attributes:
        index: Its number among the samples.
        title: What it is, and what was answered.
        spikes: For the input and each population that it reaches, what was sent, shape (T, *shape), from the step on
            in which the sample reaches it.
        states: The same of the states.
    """

    index: int
    title: str
    spikes: dict[str, IntArray]
    states: dict[str, dict[str, IntArray]]


@dataclass(frozen=True, eq=False)
class Findings:
    """All that the report of one network says.

    Attributes:
        source: The network.
        evaluation: What it answered.
        layers: One for the input and each population.
        synapses: One for each synapse with weights.
        shown: Samples to look at.
        comparisons: What was compared.
        certificate: What came of holding the graph to its certificate; None without one.
        certificate_holds: Whether it held.
        plan: Of a chip.
        beside: What the report says of the network that is laid beside this one; None without one.
    """

    source: Source
    evaluation: Evaluation
    layers: tuple[LayerFacts, ...]
    synapses: tuple[SynapseFacts, ...]
    shown: tuple[ShownSample, ...]
    comparisons: tuple[Comparison, ...]
    certificate: str | None
    certificate_holds: bool
    plan: Plan
    beside: Findings | None = None

    @property
    def is_exact(self) -> bool:
        """Whether nothing that was compared differs."""
        return self.certificate_holds and not any(comparison.differing for comparison in self.comparisons)

    @property
    def compared(self) -> int:
        """Integers that were compared."""
        return sum(comparison.compared for comparison in self.comparisons)

    @property
    def differing(self) -> int:
        """Integers that differ."""
        return sum(comparison.differing for comparison in self.comparisons)

    @property
    def n_samples(self) -> int:
        """Samples that ran."""
        return len(self.evaluation.labels)

    @property
    def populations(self) -> tuple[LayerFacts, ...]:
        """The layers without the input."""
        return self.layers[1:]
