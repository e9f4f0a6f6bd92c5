"""NeuroBench's metrics of a graph, by its definitions, of what the chip runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.fast.batch import check_threads, simulate
from pumice.backends.fast.program import Program
from pumice.backends.fast.simulator import Simulator
from pumice.backends.labelled import sample_batches
from pumice.errors import InputError
from pumice.fixedpoint.formats import STATE_BYTES
from pumice.ir import Graph, Population, Synapse, latencies, verify_graph
from pumice.ir.own_kinds import own_fields
from pumice.ir.stream import timing_of

Array = npt.NDArray[Any]
BATCH_VALUES = 10_000_000
"""So many states are held at a time."""


@dataclass(frozen=True)
class Metrics:
    """What NeuroBench's harness reports of a model; see `metrics` for each definition.

    Attributes:
        footprint: Bytes.
        connection_sparsity: Share of the stored weights that are 0, with 4 decimals.
        samples: On how many samples the following were measured; 0: not at all.
        activation_sparsity: Share of neurons and steps without a spike (or value); None without samples.
        activation_sparsity_by_layer: The same of each population.
        synaptic_operations: A sample's "Effective_MACs", "Effective_ACs" and "Dense", as the harness names them.
        membrane_updates: Voltages that change, a sample.
    """

    footprint: int
    connection_sparsity: float
    samples: int = 0
    activation_sparsity: float | None = None
    activation_sparsity_by_layer: Mapping[str, float] = field(default_factory=dict)
    synaptic_operations: Mapping[str, float] = field(default_factory=dict)
    membrane_updates: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The figures by the names of NeuroBench's results."""
        found: dict[str, Any] = {"Footprint": self.footprint, "ConnectionSparsity": self.connection_sparsity}
        if self.samples:
            found |= {
                "ActivationSparsity": self.activation_sparsity,
                "ActivationSparsityByLayer": dict(self.activation_sparsity_by_layer),
                "SynapticOperations": dict(self.synaptic_operations),
                "MembraneUpdates": self.membrane_updates,
            }
        return found


def metrics(graph: Graph, dataset: Iterable[tuple[Any, ...]] | None = None, *, threads: int | None = None) -> Metrics:
    r"""Measure a graph as NeuroBench does (Yik et al., Nature Communications 2025; its harness 2.3.0).

    All neurons and synapses of the graph count, clocks, relays and delays included, which no hook into the torch
    network sees.

    - *Footprint*: bytes of all that is stored: a byte for each weight (8 bits) and for each delay of single weights
      or neurons, 3 for each state (24 bits), and for the numbers of a population (threshold, decays, bias) as many as
      the largest of them needs.
    - *ConnectionSparsity*: weights that are 0, of all stored; a kernel counts once.
    - *ActivationSparsity*: :math:`1 - \sum s / \sum n T`, over all populations and samples.
    - *SynapticOperations*: each event times the weights other than 0 that it meets: accumulates (ACs), or
      multiply-accumulates (MACs) where the synapse multiplies by graded values; "Dense" if all sources sent in each
      step and no weight were 0. A bias is none.
    - *MembraneUpdates*: neurons times steps whose voltage after a step is another than after the step before; all of
      them in the first.

    The T steps of a sample count, of each population from when the sample reaches it.

    Args:
        graph: Any graph; with a timing if there are samples.
        dataset: As for `pumice.evaluate`; labels are not looked at.
        threads: At most so many; by default one per core.

    Raises:
        InputError: There is no sample, the graph states no timing, or a sample does not fit.

    Example:
        >>> from pumice.ir import Timing
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 2], seed=0).replace(timing=Timing(sample_steps=5, period_steps=5))
        >>> found = metrics(graph, [(np.ones((5, 4), int), 0)])
        >>> found.footprint, found.synaptic_operations["Dense"]
        (60, 90.0)
    """
    verify_graph(graph)
    stored = [np.asarray(s.weights) for s in graph.synapses]
    total, zeros = sum(w.size for w in stored), sum(int(np.count_nonzero(w == 0)) for w in stored)
    static = Metrics(footprint(graph), round(zeros / total, 4) if total else 0.0)
    if dataset is None:
        return static
    check_threads(threads)
    timing_of(graph)
    measured = _Workload(graph, threads)
    for batch in sample_batches(graph, dataset):
        measured.add(np.stack([sample for sample, *_ in batch]))
    if not measured.samples:
        raise InputError("the dataset holds no sample")
    return measured.joined(static)


def footprint(graph: Graph) -> int:
    """Bytes that a graph's weights, delays, states and numbers take."""
    in_synapses = sum(
        np.asarray(s.weights).size + np.size(getattr(s, "delay_steps", 0)) * bool(s.max_delay_steps)
        for s in graph.synapses
    )
    return int(in_synapses + sum(_of_population(p) for p in graph.populations))


def _of_population(p: Population) -> int:
    numbers = [np.asarray(getattr(p, f.name)) for f in own_fields(type(p))]
    whole = [n.astype(np.int64) for n in numbers if n.dtype.kind in "iub"]
    stored = sum(n.size * max(1, -(-int(np.abs(n).max(initial=0)).bit_length() // 8)) for n in whole)
    return stored + STATE_BYTES * len(p.states) * p.size


@dataclass(frozen=True)
class LayerActivity:
    """What a layer did in the steps of some samples.

    Attributes:
        sent: Spikes or values, (n, T, size); of the input, what entered.
        voltage: After each step, (n, T, size); None of the input, and where there is none.
    """

    sent: Array
    voltage: Array | None


def activity(program: Program, x: Array, threads: int | None = None) -> dict[str, LayerActivity]:
    """Run samples from rest and keep, of each layer, the steps from when a sample reaches it.

    Args:
        program: Of a graph with a timing.
        x: (n, T, *input shape).
        threads: At most so many.
    """
    graph, timing = program.graph, timing_of(program.graph)
    n, steps, lead, lag = len(x), timing.sample_steps, timing.lead_steps, latencies(graph)
    entering = np.zeros((n, lead + steps + max(lag.values()), *x.shape[2:]), x.dtype)
    entering[:, lead : lead + steps] = x
    sent = {p.name: np.zeros((n, steps, p.size), np.int32) for p in graph.populations}
    voltage = {p.name: np.zeros((n, steps, p.size), np.int32) for p in graph.populations if "v" in p.states}

    def collect(samples: slice, start: int, stop: int, simulator: Simulator) -> None:
        for name, found in sent.items():
            first = lead + lag.get(name, 0)
            low, high = max(first, start), min(first + steps, stop)
            if low < high:
                here, there = slice(low - start, high - start), slice(low - first, high - first)
                found[samples, there] = simulator.sent(name)[here].swapaxes(0, 1)
                if name in voltage:
                    voltage[name][samples, there] = simulator.states(name)["v"][here].swapaxes(0, 1)

    simulate(program, entering, collect, record=True, threads=threads)
    layers = {name: LayerActivity(found, voltage.get(name)) for name, found in sent.items()}
    return {graph.input.name: LayerActivity(x.reshape(n, steps, -1), None), **layers}


def multiplies(graph: Graph, synapse: Synapse) -> bool:
    """Whether a synapse multiplies its weights by values, where others add them up."""
    if not synapse.graded:
        return False
    if synapse.source == graph.input.name:
        return graph.input.value_range != (0, 1)
    return bool(graph.population(synapse.source).sends_values)


def _without_zeros(synapse: Synapse) -> Synapse:
    """All weights of a matrix or kernel 1, to count its connections; a sparse synapse has those that it stores."""
    s: Any = synapse
    return replace(s, weight=np.ones_like(s.weight)) if hasattr(s, "weight") else synapse


class _Workload:
    """Sums over samples."""

    def __init__(self, graph: Graph, threads: int | None) -> None:
        self._graph, self._threads, self._program = graph, threads, Program(graph)
        self.samples = self._updates = 0
        self._active = dict.fromkeys((p.name for p in graph.populations), 0)
        self._operations = {True: 0, False: 0}
        full = graph.replace(synapses=tuple(map(_without_zeros, graph.synapses)))
        connections = sum(int(s.fan_out(*full.ends_of(s)).sum()) for s in full.synapses)
        self._steps = timing_of(graph).sample_steps
        self._dense = float(connections * self._steps)

    def add(self, x: Array) -> None:
        size = sum(p.size for p in self._graph.populations) * x.shape[1]
        at_once = max(1, BATCH_VALUES // size)
        for start in range(0, len(x), at_once):
            self._add(activity(self._program, x[start : start + at_once], self._threads))
        self.samples += len(x)

    def _add(self, layers: Mapping[str, LayerActivity]) -> None:
        events = {name: np.count_nonzero(layer.sent, axis=(0, 1)) for name, layer in layers.items()}
        for name in self._active:
            self._active[name] += int(events[name].sum())
            v = layers[name].voltage
            if v is not None:
                self._updates += v[:, 0].size + int(np.count_nonzero(v[:, 1:] != v[:, :-1]))
        for synapse in self._graph.synapses:
            used = int(events[synapse.source].astype(np.int64) @ synapse.fan_out(*self._graph.ends_of(synapse)))
            self._operations[multiplies(self._graph, synapse)] += used

    def joined(self, static: Metrics) -> Metrics:
        graph, n = self._graph, self.samples
        entries = {p.name: p.size * self._steps * n for p in graph.populations}
        return Metrics(
            static.footprint,
            static.connection_sparsity,
            n,
            (sum(entries.values()) - sum(self._active.values())) / sum(entries.values()),
            {name: (entries[name] - self._active[name]) / entries[name] for name in entries},
            {
                "Effective_MACs": self._operations[True] / n,
                "Effective_ACs": self._operations[False] / n,
                "Dense": self._dense,
            },
            self._updates / n,
        )
