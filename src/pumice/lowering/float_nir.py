"""`pumice.to_nir` of a model: a floating-point network goes out as a NIR file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lava.lib.dl.slayer import synapse as slayer_synapse

from pumice.errors import LoweringError
from pumice.fixedpoint.formats import DECAY_ONE
from pumice.ir import Accumulator, Cuba
from pumice.lowering.synapses import population_name, shape_of
from pumice.netx.tree import write_tree
from pumice.nir.drawing import Drawing, nir_order, nir_shape
from pumice.nir.metadata import NIR_VERSION
from pumice.nir.neuron_nodes import Drive, draw_neurons
from pumice.nir.reader import GRAPH
from pumice.nn.blocks.current import sum_of_offsets
from pumice.nn.blocks.linear_readout import LinearReadout
from pumice.nn.neurons.floating import FloatCubaNeuron
from pumice.nn.neurons.folding import offset_of
from pumice.nn.neurons.slayer_state import decays_q12
from pumice.nn.synapses.conv import ConvSynapse
from pumice.nn.synapses.dense import DenseSynapse
from pumice.nn.synapses.identity import IdentitySynapse
from pumice.nn.synapses.linear import LinearSynapse
from pumice.nn.synapses.one_to_one import OneToOneSynapse
from pumice.quantization.known import check_known
from pumice.quantization.quantize import check_example, is_quantized, undisturbed
from pumice.quantization.sigma_delta import sends_changes
from pumice.quantization.synapse_view import SynapseView, call_synapses
from pumice.quantization.trace import INPUT, SYNAPTIC, Call, trace_model

FloatArray = npt.NDArray[np.float64]
_Source = tuple[str, str, tuple[int, ...]]
"""A block's name ("" of the neurons themselves), its node, and its shape."""
_DENSE = (DenseSynapse, slayer_synapse.Dense)
_CONV = (ConvSynapse, slayer_synapse.Conv)


def write_model(model: torch.nn.Module, example_input: torch.Tensor, path: Path, dt: float) -> None:
    r"""Write a network before quantization as a NIR file: `pumice.to_nir` of a model.

    Norms are folded into weights and biases, weights are those of the forward pass (on SLAYER's grid, where the block
    has it), and each neuron is the node whose Euler step of :math:`\Delta t` is the block's without its rounding:

    .. math:: \tau = \Delta t \cdot 4096 / d, \qquad r = w_\text{in} = 4096 / d

    Args:
        model: As for `pumice.lower`: `pumice.nn` blocks, or lava-dl's CUBA blocks.
        example_input: A batch, (batch, *shape, time).
        path: The file; an existing one is replaced.
        dt: Length of a step, in seconds.

    Raises:
        LoweringError: A block has no node; the message names it. The model is quantized. The example is no batch.
    """
    check_example(example_input)
    if is_quantized(model):
        raise LoweringError(
            "the model is quantized: write its integers, pumice.to_nir(pumice.lower(model, example_input), path), or "
            "write a copy from before quantize_"
        )
    with undisturbed(model, example_input) as example, torch.no_grad():
        writer = _Writer(dt, example)
        traced = trace_model(model, example)
        for call in traced.calls:
            writer.add(call)
        for name in traced.outputs:
            writer.end(name)
    file = writer.drawing.file()
    nodes = {name: {"type": node.type, **node.fields} for name, node in file.nodes.items()}
    write_tree(path, {"version": NIR_VERSION, "node": {"type": GRAPH, "nodes": nodes, "edges": list(file.edges)}})


class _Writer:
    """Draws call by call; remembers of each what sends its spikes."""

    def __init__(self, dt: float, example: torch.Tensor) -> None:
        self.drawing = Drawing("to_nir", dt)
        shape = tuple(example.shape[1:-1])
        self.drawing.put(self.drawing.reserve(INPUT), "Input", shape=np.array(shape))
        self.nodes, self.shapes = {INPUT: INPUT}, {INPUT: tuple(shape[::-1])}
        self.calls: dict[str, Call] = {}

    def add(self, call: Call) -> None:
        """A block, or a flatten, which is drawn where it is needed."""
        if not isinstance(call.block, SYNAPTIC):
            (source,) = call.sources
            self.nodes[call.name], self.shapes[call.name] = self.nodes[source], self.shapes[source]
            if source in self.calls:
                self.calls[call.name] = self.calls[source]
            return
        check_known(call)
        if sends_changes(call.block):
            raise LoweringError(
                f"block {call.name!r}: NIR has no sigma-delta neurons; lower it and keep the .net file"
            )
        shape = tuple(int(n) for n in call.y.shape[1:2]) if isinstance(call.block, LinearReadout) else shape_of(call)
        node = self.drawing.reserve(population_name(call))
        self.nodes[call.name], self.shapes[call.name], self.calls[call.name] = node, shape, call
        flat = len(shape) == 1
        if isinstance(call.block, LinearReadout):
            self._readout(call, node, shape)
            return
        neuron, channels = call.block.neuron, call.y.shape[1]
        through = sum_of_offsets(call.terms, channels) if call.terms else torch.zeros(channels)
        offset = torch.zeros(channels) if call.terms else offset_of(neuron).expand(channels)
        decays: Any = [decay.numpy() if decay.numel() > 1 else float(decay) for decay in _decays(neuron)]
        p = Cuba(node, shape, vth_mant=1, i_decay_q12=decays[0], v_decay_q12=decays[1])
        constant, bias = (self._of_neurons(values, shape, flat) for values in (through, offset))
        entry = draw_neurons(self.drawing, p, node, flat, Drive(constant, bias), threshold=float(neuron.threshold))
        for index, view in enumerate(call_synapses(call)):
            first = call.terms[index].first_channel if call.terms and not view.recurrent else 0
            ends = ("", node, shape) if view.recurrent else self._source(call.sources[index])
            self._synapse(call, view, ends, entry, first)

    def end(self, name: str) -> None:
        """An output."""
        shape = nir_shape(self.shapes[name], len(self.shapes[name]) == 1)
        node = self._delayed(self.nodes[name], name, self.shapes[name])
        self.drawing.add(node, "output", "Output", shape=np.array(shape))

    @staticmethod
    def _of_neurons(values: torch.Tensor, shape: tuple[int, ...], flat: bool) -> FloatArray:
        return nir_order(values.double().numpy(), shape, flat)

    def _readout(self, call: Call, node: str, shape: tuple[int, ...]) -> None:
        block = call.block
        p = Accumulator(node, shape, v_decay_q12=block.voltage_decay_q12)
        bias = block.real_bias(call.terms).double().numpy()
        entry = draw_neurons(self.drawing, p, node, True, Drive(np.zeros(shape), bias))
        for source, term in zip(call.sources, call.terms, strict=True):
            self._dense(
                self.nodes[source], source, self.shapes[source], entry, block.real_weight(term).double().numpy()
            )

    def _source(self, name: str) -> _Source:
        return name, self.nodes[name], self.shapes[name]

    def _synapse(self, call: Call, view: SynapseView, source: _Source, entry: str, first: int) -> None:
        """Draw a synapse whose channels begin at one of the neurons'."""
        owner, (name, node, shape) = view.owner, source
        weight, channels = _used(view), int(call.y.shape[1])
        if isinstance(owner, LinearSynapse):
            weight = np.repeat(weight, owner.positions, axis=1)
        if isinstance(owner, (IdentitySynapse, OneToOneSynapse)) and len(weight) < channels:
            weight, owner = np.diag(weight), None  # NIR has no concatenation: a matrix, or its like for images
        if isinstance(owner, (*_DENSE, LinearSynapse)) or (owner is None and len(shape) == 1):
            self._dense(node, name, shape, entry, _placed(weight, first, channels))
            return
        before = self._delayed(node, name, shape)
        label = f"{node}_{entry}"
        if isinstance(owner, (IdentitySynapse, OneToOneSynapse)):
            flat = len(shape) == 1
            self.drawing.connect(
                self.drawing.add(before, label, "Scale", scale=nir_order(weight, shape, flat)), entry
            )
        elif owner is None:
            kernel = _placed(weight, first, channels)[..., None, None, None]
            self.drawing.connect(self._convolution(before, label, ConvSynapse(1, 1, 1), kernel, shape), entry)
        elif isinstance(owner, (*_CONV, slayer_synapse.Pool)):
            if len(weight) < channels and int(owner.groups) > 1:
                raise LoweringError(
                    f"block {call.name!r}: NIR has no concatenation, and a convolution of {owner.groups} groups is "
                    "no part of a larger one; lower the network, pumice.to_nir writes its graph"
                )
            kernel = _placed(weight, first, channels) if isinstance(owner, _CONV) else weight
            self.drawing.connect(self._convolution(before, label, owner, kernel, shape), entry)
        else:
            raise LoweringError(
                f"block {call.name!r}: NIR has no {type(owner).__name__}; lower the network, pumice.to_nir writes "
                "its graph"
            )

    def _convolution(self, node: str, name: str, owner: Any, weight: FloatArray, shape: tuple[int, ...]) -> str:
        pairs = {
            key: np.array([int(n) for n in getattr(owner, key)[:2]]) for key in ("stride", "padding", "dilation")
        }
        kernel, groups = weight[..., 0], int(owner.groups)
        if isinstance(owner, slayer_synapse.Pool):
            tiles = np.all(kernel == kernel.flat[0]) and np.all(pairs["dilation"] == 1)
            if tiles and np.all(2 * pairs["padding"] <= kernel.shape[2:]):  # simulators refuse more padding
                return self._pool(node, name, kernel, pairs, shape)
            kernel, groups = np.repeat(kernel, shape[-1], axis=0), shape[-1]
        fields = {"input_shape": np.array(shape[1::-1]), "weight": kernel, "bias": np.zeros(len(kernel))}
        return self.drawing.add(node, name, "Conv2d", **fields, **pairs, groups=groups)

    def _pool(
        self,
        node: str,
        name: str,
        kernel: FloatArray,
        pairs: dict[str, npt.NDArray[np.int64]],
        shape: tuple[int, ...],
    ) -> str:
        """A sum over windows, times its one weight: the nir package refuses files of convolutions with groups."""
        size, stride, padding = np.array(kernel.shape[2:]), pairs["stride"], pairs["padding"]
        image = (np.array(shape[1::-1]) + 2 * padding - size) // stride + 1
        pooled = self.drawing.add(node, name, "SumPool2d", kernel_size=size, stride=stride, padding=padding)
        scale = np.full((shape[-1], *image), float(kernel.flat[0]))
        return self.drawing.add(pooled, f"{name}_scale", "Scale", scale=scale)

    def _dense(self, node: str, source: str, shape: tuple[int, ...], entry: str, weight: FloatArray) -> None:
        name = f"{node}_{entry}"
        before = self._delayed(node, source, shape)
        if len(shape) > 1:
            image = np.array(nir_shape(shape, flat=False))
            before = self.drawing.add(before, f"{name}_flatten", "Flatten", start_dim=0, end_dim=-1, input_type=image)
        self.drawing.connect(self.drawing.add(before, name, "Linear", weight=weight.reshape(len(weight), -1)), entry)

    def _delayed(self, node: str, source: str, shape: tuple[int, ...]) -> str:
        delay = getattr(self.calls[source].block, "delay", None) if source in self.calls else None
        if delay is None:
            return node
        steps = nir_order(delay.steps().numpy(), shape, len(shape) == 1)
        return (
            self.drawing.add(node, f"{node}_delay", "Delay", delay=steps * self.drawing.dt) if steps.any() else node
        )


def _decays(neuron: Any) -> list[torch.Tensor]:
    """Current's and voltage's, of 4096; those of a neuron in floating point are not rounded."""
    if isinstance(neuron, FloatCubaNeuron):
        both = neuron.current_decay, neuron.voltage_decay
        return [DECAY_ONE * decay.detach().clamp(0, 1).double().view(-1) for decay in both]
    return [*decays_q12(neuron)]


def _placed(weight: FloatArray, first: int, channels: int) -> FloatArray:
    """The rows of a concatenation's part among those of all channels."""
    rest = channels - first - len(weight)
    return np.pad(weight, [(first, rest), *[(0, 0)] * (weight.ndim - 1)]) if rest > 0 or first else weight


def _used(view: SynapseView) -> FloatArray:
    """The weight of the forward pass, times the gain of its norm."""
    hook, weight = view.hook(), view.weight()
    used = (weight if hook is None else hook(weight)) * view.gain().reshape(-1, *[1] * (weight.ndim - 1))
    found: FloatArray = used.detach().double().numpy(force=True)
    return found
