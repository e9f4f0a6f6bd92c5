"""Of an evaluation, what is kept of each sample: its answer, and sums of events."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.counting import Counted, Wanted
from pumice.backends.labelled import own_steps
from pumice.errors import InputError
from pumice.ir import Accumulator, Graph, Population, Sigma

IntArray = npt.NDArray[np.integer[Any]]


class Totals:
    """Adds up batches.

    Args:
        graph: The graph.
        wanted: What is counted of it.

    Attributes:
        outputs: For each batch, what the first output sent, (n, steps, size).
        spikes: For the input and each population, for each batch, events of each sample.
        synaptic_events: For each synapse, likewise.
        neuron_spikes: For the input and each population, events of each neuron in all samples, (size,).
    """

    def __init__(self, graph: Graph, wanted: Wanted) -> None:
        self._graph, self._steps, self._state = graph, len(wanted.answer), wanted.state
        self._fan_out = [(s, s.fan_out(*graph.ends_of(s))) for s in graph.synapses]
        self._is_sum = graph.output.sends_values and not _answers_in_each_step(graph.output)
        self._scores: list[IntArray] = []
        self.outputs: list[IntArray] = []
        self.spikes: dict[str, list[IntArray]] = {name: [] for name in wanted.counted}
        self.synaptic_events: dict[str, list[IntArray]] = {_label(synapse): [] for synapse in graph.synapses}
        sizes = {graph.input.name: graph.input.size} | {p.name: p.size for p in graph.populations}
        self.neuron_spikes = {name: np.zeros(size, np.int64) for name, size in sizes.items()}

    def add(self, found: Counted, lengths: npt.NDArray[np.int64]) -> None:
        """Take a batch, of whose samples (n,) steps count."""
        n = len(lengths)
        if self._state is not None or self._is_sum:
            answer = found.sent if found.held is None else found.held
            self._scores.append(answer[np.arange(n), lengths - 1])
        else:
            own = own_steps(lengths, self._steps)[..., None]
            self._scores.append(found.sent.sum(1, dtype=np.int64, where=own))
        self.outputs.append(found.sent)
        for name, count in found.events.items():
            self.spikes[name].append(count.sum(1, dtype=np.int64))
            self.neuron_spikes[name] += count.sum(0, dtype=np.int64)
        events = {label: np.zeros(n, np.int64) for label in self.synaptic_events}
        for synapse, fan_out in self._fan_out:
            events[_label(synapse)] += found.events[synapse.source].astype(np.int64) @ fan_out
        for label, per_sample in events.items():
            self.synaptic_events[label].append(per_sample)

    def classes(self) -> IntArray:
        """Of each sample the neuron with the largest score."""
        return np.argmax(np.concatenate(self._scores), axis=1)

    def numbers(self, targets: npt.NDArray[Any], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """What the output sends as numbers: (n, neurons, steps), or (n, neurons) on the mean over its own steps.

        Raises:
            InputError: They are not of the targets' shape, or a state was to be read.
        """
        if self._state is not None:
            raise InputError("readout: targets are compared with what the output sends; leave it out")
        sent = np.concatenate(self.outputs).swapaxes(1, 2) * _unit(self._graph)
        answered: npt.NDArray[np.float64] = sent if targets.ndim == 3 else mean_over_own(sent, lengths)
        if answered.shape != targets.shape:
            raise InputError(
                f"the output answers numbers of shape {answered.shape[1:]}, the targets are {targets.shape[1:]}"
            )
        return answered


def _unit(graph: Graph) -> float:
    """What one of the output's integers stands for."""
    text = graph.info.get("unit", "1")
    try:
        unit = float(text)
    except ValueError:
        unit = 0.0
    if not 0 < unit < np.inf:
        raise InputError(f"the graph's info says that its unit is {text[:40]!r}, and it must be a number > 0")
    return unit


def mean_over_own(x: npt.NDArray[np.float64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Mean of x (n, neurons, steps) over each sample's own steps.

    Example:
        >>> mean_over_own(np.array([[[2.0, 4.0, 9.0]]]), np.array([2])).tolist()
        [[3.0]]
    """
    if (lengths == x.shape[2]).all():
        return x.mean(-1)
    return (x * own_steps(lengths, x.shape[2])[:, None]).sum(-1) / lengths[:, None]


def _answers_in_each_step(population: Population) -> bool:
    """Whether the reader has to add up what leaves: a value, or what a read-out forgets, at once or by and by."""
    return isinstance(population, Sigma) or (
        isinstance(population, Accumulator) and bool(np.all(np.asarray(population.v_decay_q12) > 0))
    )


def _label(synapse: Any) -> str:
    return f"{synapse.source} -> {synapse.target}"
