"""From nodes and edges to layers of neurons: linear nodes between two neurons become one map, in float64."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.formats import DELAY_STEPS
from pumice.nir.geometry import checked_size, linear_map, node_shape
from pumice.nir.maps import FloatArray, LinearMap, Matrix, Shape, TooLargeError, compose, identity, is_identity
from pumice.nir.neurons import NEURONS, READOUT, Decay, Neurons, discretize
from pumice.nir.order import feed_forward_order, linear_order
from pumice.nir.reader import NirFile, NirNode

MAX_TERMS = 256
WHOLE = 1e-4
"""A delay may be off a whole number of steps by so many: files hold seconds in float32."""


@dataclass(frozen=True, eq=False)
class Term:
    """What one source adds to a layer's input.

    Attributes:
        source: Name of a layer, or of the input.
        linear: From the source's shape to the layer's.
        delay_steps: One number, or one per source neuron (C order).
    """

    source: str
    linear: LinearMap
    delay_steps: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((), np.int64))


@dataclass(frozen=True, eq=False)
class Layer:
    """Neurons, what arrives at them, and the constant that arrives in every step.

    Attributes:
        name: Of the NIR node.
        shape: NIR's order.
        neurons: Their step.
        terms: What is added up.
        constant: Sum of the biases on the way, of the layer's shape.
    """

    name: str
    shape: Shape
    neurons: Neurons
    terms: tuple[Term, ...]
    constant: FloatArray


@dataclass(frozen=True, eq=False)
class Network:
    """A NIR file as float layers, in feed-forward order.

    Attributes:
        input_name: Of the Input node.
        input_shape: NIR's order.
        layers: Sources before targets, recurrence of a layer on itself aside.
        outputs: Names of layers.
    """

    input_name: str
    input_shape: Shape
    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Sum:
    terms: tuple[Term, ...]
    constant: FloatArray


class _Builder:
    """Walks a file against its edges; what a node's output is made of is worked out once."""

    def __init__(self, file: NirFile, dt: float) -> None:
        self.file, self.dt = file, dt
        self.input = _only_input(file)
        self.order = feed_forward_order(file)
        self.shapes: dict[str, Shape] = {}
        for name in self.order:
            self._infer(file.nodes[name])
        self.sums: dict[str, _Sum] = {}
        for name in linear_order(file):
            node = file.nodes[name]
            self.sums[name] = self._delayed(node) if node.type == "Delay" else self._through(node)

    def _infer(self, node: NirNode) -> None:
        arriving = {self.shapes[s] for s in self.file.into(node.name) if s in self.shapes}
        if node.type == "Input":
            shape = node.whole("shape", 1)
            if len(shape) > 3:
                raise node.error(f"shape must be (features,), (C, L) or (C, H, W), got {shape}")
            self.shapes[node.name] = checked_size(node, shape)
            return
        if not arriving:
            raise node.error("nothing from the input arrives here; connect it, or take it out")
        if len(arriving) > 1:
            raise node.error(f"what is added up here has unequal shapes: {', '.join(map(str, sorted(arriving)))}")
        self.shapes[node.name] = checked_size(node, node_shape(node, next(iter(arriving))))

    def arriving(self, name: str) -> _Sum:
        """All that arrives at a node."""
        into = self.file.into(name)
        shape = self.shapes[into[0]]
        terms: list[Term] = []
        constant = np.zeros(shape)
        for source in into:
            if self.shapes[source] != shape:
                raise self.file.nodes[name].error(
                    f"what is added up here has unequal shapes: {shape} and, from {source!r}, {self.shapes[source]}"
                )
            part = self.sent(source)
            terms += part.terms
            constant = constant + part.constant
        merged = _merged(terms)
        if len(merged) > MAX_TERMS:
            raise self.file.nodes[name].error(f"is reached by more than {MAX_TERMS} ways without neurons on them")
        return _Sum(merged, constant)

    def sent(self, name: str) -> _Sum:
        """What leaves a node: a neuron's spikes, or a sum of maps of them."""
        node = self.file.nodes[name]
        if node.type in (*NEURONS, "Input"):
            return _Sum((Term(name, identity()),), np.zeros(self.shapes[name]))
        return self.sums[name]

    def _through(self, node: NirNode) -> _Sum:
        before = self.arriving(node.name)
        middle, after = before.constant.shape, self.shapes[node.name]
        linear, bias = linear_map(node, middle)
        terms = []
        for term in before.terms:
            source = self.shapes[term.source]
            try:
                composed = compose(term.linear, linear, (source, middle, after))
            except TooLargeError as error:
                raise node.error(
                    f"together with what comes before it, it needs {error}; put neurons between"
                ) from None
            terms.append(replace(term, linear=composed))
        constant = linear.apply(before.constant[None], after)[0] + bias
        return _Sum(tuple(terms), constant)

    def _delayed(self, node: NirNode) -> _Sum:
        before = self.arriving(node.name)
        steps = _delay_steps(node, self.shapes[node.name], self.dt)
        if np.any(before.constant != 0):
            raise node.error("delays a sum with a bias in it, which would begin later; put the delay before the bias")
        terms = []
        for term in before.terms:
            if steps.size > 1 and not is_identity(term.linear):
                raise node.error(
                    "delays of unequal length must follow the neurons directly; put it before the weights"
                )
            terms.append(replace(term, delay_steps=term.delay_steps + steps))
        return _Sum(tuple(terms), before.constant)


def _merged(terms: list[Term]) -> tuple[Term, ...]:
    """Matrices of one source and delay are added; other maps stay apart."""
    merged: list[Term] = []
    for term in terms:
        for i, other in enumerate(merged):
            both = isinstance(term.linear, Matrix) and isinstance(other.linear, Matrix)
            if both and term.source == other.source and np.array_equal(term.delay_steps, other.delay_steps):
                merged[i] = replace(other, linear=Matrix(other.linear.weight + term.linear.weight))
                break
        else:
            merged.append(term)
    return tuple(merged)


def read_network(file: NirFile, dt: float, decay: Decay) -> Network:
    """The layers of a file.

    Raises:
        FileFormatError: Something in it cannot be represented; the message names the node and the remedy.
    """
    builder = _Builder(file, dt)
    layers, outputs = [], []
    for name in builder.order:
        node = file.nodes[name]
        if node.type in NEURONS:
            layers.append(_layer(builder, node, discretize(node, builder.shapes[name], dt, decay)))
        elif node.type == "Output":
            whole = builder.arriving(name)
            simple = len(whole.terms) == 1 and is_identity(whole.terms[0].linear) and not np.any(whole.constant)
            if simple and not np.any(whole.terms[0].delay_steps) and whole.terms[0].source != builder.input:
                outputs.append(whole.terms[0].source)
            else:
                one = np.ones(builder.shapes[name])
                layers.append(_layer(builder, node, Neurons(False, one, one, one, one, 0 * one, False)))
                outputs.append(name)
    if not outputs:
        raise file.error("has no Output node that something reaches; add one behind the last neurons")
    for layer in layers:
        for term in layer.terms:
            if term.source != builder.input and file.nodes[term.source].type in READOUT:
                raise file.nodes[term.source].error(
                    f"does not fire, and {layer.name!r} reads its voltage; only outputs may be "
                    f"read, use spiking neurons"
                )
    return Network(builder.input, builder.shapes[builder.input], tuple(layers), tuple(dict.fromkeys(outputs)))


def blanked(network: Network) -> set[str]:
    """Layers whose spikes would reach the next sample, if nothing held them below threshold between samples."""
    return {
        t.source for layer in network.layers for t in layer.terms if t.source == layer.name or np.any(t.delay_steps)
    }


def _layer(builder: _Builder, node: NirNode, neurons: Neurons) -> Layer:
    whole = builder.arriving(node.name)
    shape = builder.shapes[node.name]
    return Layer(node.name, shape, neurons, whole.terms, whole.constant.reshape(shape))


def _only_input(file: NirFile) -> str:
    inputs = [n.name for n in file.nodes.values() if n.type == "Input"]
    if len(inputs) != 1:
        raise file.error(
            f"has {len(inputs)} Input nodes ({', '.join(inputs[:5])}), and a network here has one; join them"
        )
    return inputs[0]


def _delay_steps(node: NirNode, shape: Shape, dt: float) -> npt.NDArray[np.int64]:
    values = node.floats("delay") / dt
    if values.size not in (1, int(np.prod(shape))):
        raise node.error(f"delay must be one number or one for each of {shape}, got shape {values.shape}")
    steps = np.rint(values)
    if np.any(np.abs(values - steps) > WHOLE * np.maximum(steps, 1)) or np.any(steps < 0):
        raise node.error(
            f"delay must be a whole number of steps of dt = {dt:.6g}, got {values.reshape(-1)[:4].tolist()}"
        )
    if steps.max() > DELAY_STEPS.high:
        raise node.error(
            f"delay must be at most {DELAY_STEPS.high} steps, got {steps.max():.0f}; put neurons between"
        )
    whole = steps.astype(np.int64).reshape(-1)
    return whole[0] if np.all(whole == whole[0]) else whole
