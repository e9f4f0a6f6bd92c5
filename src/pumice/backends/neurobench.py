"""A graph as NeuroBench's own runner takes a model: it hooks into torch's layers, of which a graph has none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import torch

from pumice.backends.fast.program import Program
from pumice.backends.metrics import LayerActivity, activity, footprint, multiplies
from pumice.errors import InputError
from pumice.ir import Conv, Dense, Graph, Synapse, flatten_whc, verify_graph
from pumice.ir.stream import timing_of

Answer = Literal["class", "spikes"]


class NeuroBenchGraph:
    """A model for `neurobench.benchmarks.Benchmark`; the package itself is not needed here.

    NeuroBench wraps a torch network and watches its layers. Of a pumice network in its `TorchModel` it sees none, and
    reports 0 without a word. This one shows it the graph: a layer for each synapse, a byte for each weight, and
    what each population sent in each step. The results are those of `pumice.metrics`.

    Yik et al.: The neurobench framework for benchmarking neuromorphic computing algorithms and systems, Nature
    Communications 2025.

    Args:
        graph: With a timing.
        answer: What a call gives: the "class" with the most spikes, (batch,), or the "spikes" (or values) of the
            output, (batch, T, n), for post-processors that decide.

    Shape:
        (batch, T, channel, height, width) or (batch, T, features), whole numbers -> see `answer`.

    Raises:
        InputError: The graph states no timing, an argument is wrong, or a batch does not fit.

    Example:
        >>> from pumice.ir import Timing
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 2], seed=0).replace(timing=Timing(sample_steps=5, period_steps=5))
        >>> NeuroBenchGraph(graph)(torch.ones(1, 5, 4)).shape
        torch.Size([1])
    """

    def __init__(self, graph: Graph, answer: Answer = "class") -> None:
        verify_graph(graph)
        self._steps = timing_of(graph).sample_steps
        if answer not in get_args(Answer):
            raise InputError(f"answer must be one of {', '.join(get_args(Answer))}, got {answer!r}")
        self.graph, self.answer = graph, answer
        self.activation_hooks: list[_NeuronRecord] = []
        self.connection_hooks: list[_SynapseRecord] = []
        self._program, self._net = Program(graph), _stored(graph)

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """The answers for a batch."""
        x = batch.numpy(force=True)
        if x.ndim == 5:
            x = x.transpose(0, 1, 4, 3, 2)
        if x.shape[1:] != (self._steps, *self.graph.input.shape) or np.any(x != np.rint(x)):
            raise InputError(
                f"a batch must hold whole numbers, (batch, {self._steps}, *shape) with the graph's input "
                f"{self.graph.input.shape} in torch's order, got shape {tuple(batch.shape)}"
            )
        layers = activity(self._program, x.astype(np.int32))
        for neurons in self.activation_hooks:
            neurons.keep(layers[neurons.name])
        for synapse in self.connection_hooks:
            synapse.keep(layers[synapse.source].sent)
        sent = torch.from_numpy(layers[self.graph.outputs[0]].sent)
        return sent if self.answer == "spikes" else sent.sum(1).argmax(1)

    def __net__(self) -> torch.nn.Module:
        """What is stored, for the metrics of a model at rest."""
        return self._net

    def register_hooks(self) -> None:
        """Begin to keep what the metrics read."""
        self.activation_hooks += [_NeuronRecord(p.name, type(p).__name__) for p in self.graph.populations]
        connected = [s for s in self.graph.synapses if s.connections(*self.graph.ends_of(s))]
        self.connection_hooks += [_SynapseRecord(self.graph, s) for s in connected]

    def reset_hooks(self) -> None:
        """Forget a batch."""
        for neurons in self.activation_hooks:
            neurons.reset()
        for synapse in self.connection_hooks:
            synapse.reset()

    def cleanup_hooks(self) -> None:
        """Keep nothing any more."""
        self.activation_hooks.clear()
        self.connection_hooks.clear()


class _NeuronRecord:
    """What NeuroBench's hook of a layer of neurons holds, by its names."""

    spiking = True

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.layer = name, type(kind, (), {})()  # updates are listed by the class's name
        self.reset()

    def reset(self) -> None:
        self.activation_outputs: list[torch.Tensor] = []
        self.pre_fire_mem_potential: list[torch.Tensor] = []
        self.post_fire_mem_potential: list[torch.Tensor] = []

    def keep(self, layer: LayerActivity) -> None:
        self.activation_outputs.append(torch.from_numpy(layer.sent))
        if layer.voltage is not None:
            after = torch.from_numpy(layer.voltage).movedim(1, 0)
            self.pre_fire_mem_potential += [torch.zeros_like(after[0]), *after[:-1]]
            self.post_fire_mem_potential += [*after]


class _SynapseRecord:
    """The same of a layer of weights: an equivalent layer of torch's, and what entered it."""

    def __init__(self, graph: Graph, synapse: Synapse) -> None:
        self.source, self.hook = synapse.source, self
        self._multiplies = multiplies(graph, synapse)
        shape = graph.shape_of(synapse.source)
        self._image = isinstance(synapse, Conv)
        self._columns: torch.Tensor | None = None
        self._shape = shape
        if isinstance(synapse, Dense):
            self.layer: torch.nn.Module = torch.nn.Linear(synapse.weight.shape[1], len(synapse.weight), bias=False)
            weight = np.empty_like(synapse.weight)  # its columns in the order in which activity is kept
            weight[:, flatten_whc(np.arange(weight.shape[1]).reshape(shape))] = synapse.weight
        elif isinstance(synapse, Conv):
            pairs: Any = {k: getattr(synapse, k)[::-1] for k in ("stride", "padding", "dilation")}
            weight = synapse.weight.transpose(0, 3, 2, 1)
            _, _, height, width = weight.shape
            options: Any = {**pairs, "groups": synapse.groups, "bias": False}
            self.layer = torch.nn.Conv2d(shape[-1], len(weight), (height, width), **options)
        else:  # single weights: a kernel of one value for each
            columns, weight = _connections(graph, synapse)
            self._columns = torch.from_numpy(columns)
            self.layer = torch.nn.Conv1d(len(weight), len(weight), 1, groups=len(weight), bias=False)
        self.layer.weight = torch.nn.Parameter(torch.tensor(np.asarray(weight, np.float32)), requires_grad=False)
        self.reset()

    def reset(self) -> None:
        self.inputs: list[tuple[torch.Tensor]] = []

    def keep(self, sent: Any) -> None:
        values = torch.from_numpy(sent).flatten(0, 1)
        entering = (values if self._multiplies else values != 0).float()
        if self._columns is not None:
            entering = entering[:, self._columns, None]
        elif self._image:
            entering = entering.view(-1, *self._shape).permute(0, 3, 2, 1)
        self.inputs.append((entering,))

    def remove(self) -> None:
        """NeuroBench takes its hooks off while it counts; this is none of torch's."""

    def register_hook(self) -> None:
        """And puts them on again."""


def _connections(graph: Graph, synapse: Synapse) -> tuple[Any, Any]:
    """For each connection its source and, as a kernel, 1 or, where the weight is 0, 0."""
    s: Any = synapse
    ends = graph.ends_of(synapse)
    whole = (replace(s, weight=np.ones_like(s.weight)) if hasattr(s, "weight") else s).entries(*ends)
    used, size = s.entries(*ends), int(np.prod(graph.shape_of(synapse.source)))
    not_zero = np.isin(
        whole.rows.astype(np.int64) * size + whole.columns, used.rows.astype(np.int64) * size + used.columns
    )
    return whole.columns.astype(np.int64), not_zero[:, None, None]


def _stored(graph: Graph) -> torch.nn.Module:
    """A module whose parameters and buffers are as many bytes as the graph stores."""
    net = torch.nn.Module()
    bytes_of_weights = 0
    for k, synapse in enumerate(graph.synapses):
        sign = np.sign(np.asarray(synapse.weights)).reshape(1, -1).astype(np.int8)  # what is 0 is what counts
        layer = torch.nn.Linear(1, 1, bias=False)
        layer.weight = torch.nn.Parameter(torch.from_numpy(sign), requires_grad=False)
        net.add_module(f"synapse{k}", layer)
        bytes_of_weights += sign.size
    net.register_buffer("rest", torch.zeros(footprint(graph) - bytes_of_weights, dtype=torch.uint8))
    return net
