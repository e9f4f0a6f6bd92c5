"""One layer of a stock NetX file as plain integers, before any rule of stock netx is applied to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pumice.fixedpoint.formats import DELAY_STEPS
from pumice.ir import Resonator
from pumice.ir.limits import MAX_GEOMETRY
from pumice.netx.fields import LARGE, Int64Array, Node
from pumice.netx.neurons import DEFAULT_NEURON, KNOWN, Neuron, Rules, read_neuron

REFUSED = {
    "average": "the file does not say what is averaged, and a mean of spikes is no integer",
    "concat": "the file does not say which layers are joined",
    "dense_comp": "lava-dl never writes it; complex weights belong into a dense layer",
}
"""Layer types that lava-dl writes or names, and why they cannot be read."""
_NOT_IN_STOCK = {
    "pool": "pooling",
    "convT": "transposed convolutions",
    "unpool": "unpooling",
    "recurrent": "layers of this type (it is dense_rec there), and would skip it without a word",
}
_NOT_READ = {"shape", "type", "inFeatures", "outFeatures", "inChannels", "outChannels", "kernelSize", "neuron"}
_READ = {"weight", "weight_rec", "recWeight", "bias", "delay", "stride", "padding", "dilation", "groups"}


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer as the file has it.

    Attributes:
        index: Its number in the file.
        where: Its place, for messages.
        kind: "input", "dense", "dense_rec", "conv", "pool", "convT", "unpool" or "flatten".
        shape: Lava's order, (x, y, channel) or (features,); empty for flatten and for an input without shape.
        neuron: None for an input layer without neurons and for flatten.
        weight: dense: (out, in); conv, convT: (out, kernel_x, kernel_y, in / groups); pool, unpool: (1, kernel_x,
            kernel_y, 1).
        weight_imag: The same of a resonator's imaginary input, else None.
        weight_rec: (out, out) of a dense_rec layer.
        bias: Integers, or None.
        delay: Integers: a number, one per neuron or input, or one per weight; None without delays.
        geometry: stride, padding, dilation (each (x, y)) and groups of a convolution (poolings have no groups).
        transform: weight and bias of an input layer: for the data loader, not used by the network.
    """

    index: int
    where: str
    kind: str
    shape: tuple[int, ...] = ()
    neuron: Neuron | None = None
    weight: Int64Array | None = None
    weight_imag: Int64Array | None = None
    weight_rec: Int64Array | None = None
    bias: Int64Array | None = None
    delay: Int64Array | None = None
    geometry: dict[str, Any] | None = None
    transform: tuple[float, float] | None = None


def read_layer(node: Node, index: int, rules: Rules) -> tuple[Layer, list[str]]:
    """Read the layer in group `node`.

    Args:
        node: The group /layer/<index>.
        index: Its number.
        rules: Whether to drop fractions and ignore flags where stock netx does.

    Returns:
        The layer and the places of fields that mean nothing to this reader (nor to stock netx).

    Raises:
        FileFormatError: The layer is damaged, of a type that is not supported, or says what cannot be honoured.
    """
    kind = node.text("type")
    if kind in REFUSED:
        raise node.error(f"layer type {kind!r} is not supported: {REFUSED[kind]} (stock netx refuses it, too)")
    if kind in _NOT_IN_STOCK and rules.as_stock:
        raise node.error(f"stock netx cannot run {_NOT_IN_STOCK[kind]}")
    reader = _READERS.get(kind)
    if reader is None:
        raise node.error(
            f"unknown layer type {kind!r}; known are {', '.join(_READERS)} (stock netx would skip it without a word)"
        )
    layer = reader(node, index, kind, rules)
    unknown = [f"{node.where}/{name}" for name in node.names() if name not in _READ | _NOT_READ]
    if "neuron" in node and kind != "flatten":
        group = node.child("neuron")
        unknown += [f"{group.where}/{name}" for name in group.names() if name not in KNOWN]
    return layer, unknown


def _flatten(node: Node, index: int, kind: str, rules: Rules) -> Layer:
    return Layer(index, node.where, kind)


def _input(node: Node, index: int, kind: str, rules: Rules) -> Layer:
    shape = node.shape()[::-1] if "shape" in node else ()
    neuron = read_neuron(node.child("neuron"), shape, rules, is_input=True) if "neuron" in node else None
    values = [
        float(node.numbers(name).reshape(-1)[0]) if name in node and node.numbers(name).size else default
        for name, default in (("weight", 64.0), ("bias", 0.0))
    ]
    transform = (values[0], values[1]) if "weight" in node or "bias" in node else None
    return Layer(index, node.where, kind, shape, neuron, transform=transform)


def _dense(node: Node, index: int, kind: str, rules: Rules) -> Layer:
    n = int(np.prod(node.shape()))
    neuron = read_neuron(node.child("neuron"), (n,), rules) if "neuron" in node else DEFAULT_NEURON
    kind, weight_rec = ("dense_rec", "recWeight") if kind == "recurrent" else (kind, "weight_rec")
    if kind == "dense_rec" and neuron.kind is Resonator:
        raise node.error("recurrent resonators are not written by lava-dl", "type")
    real, imag = (None if w is None else _matrix(node, "weight", w, n) for w in _parts(node, neuron, rules))
    recurrent = None
    if kind == "dense_rec":
        recurrent = _matrix(node, weight_rec, _weight(node, weight_rec, rules), n)
    return Layer(
        index,
        node.where,
        kind,
        (n,),
        neuron,
        weight=real,
        weight_imag=imag,
        weight_rec=recurrent,
        bias=_bias(node, (n,), neuron, rules),
        delay=_delay(node, rules),
    )


def _conv(node: Node, index: int, kind: str, rules: Rules) -> Layer:
    shape = node.shape()[::-1]
    if len(shape) != 3:
        raise node.error(f"must be (channel, height, width), got {shape[::-1]}", "shape")
    neuron = read_neuron(node.child("neuron"), shape, rules)
    groups = node.integer("groups", 1, LARGE) if kind in {"conv", "convT"} else 1
    real, imag = (
        None if w is None else _kernel(node, w, groups if kind == "convT" else 0) for w in _parts(node, neuron, rules)
    )
    if kind in {"pool", "unpool"} and real is not None and (real.shape[0], real.shape[3]) != (1, 1):
        raise node.error(f"the kernel of a layer {kind!r} must be (1, 1, kernel y, kernel x)", "weight")
    geometry: dict[str, Any] = {
        name: node.pair(name, low, MAX_GEOMETRY)[::-1]  # the file has (y, x)
        for name, low in (("stride", 1), ("padding", 0), ("dilation", 1))
    }
    if kind in {"conv", "convT"}:
        geometry["groups"] = groups
    return Layer(
        index,
        node.where,
        kind,
        shape,
        neuron,
        weight=real,
        weight_imag=imag,
        bias=_bias(node, shape, neuron, rules),
        delay=_delay(node, rules),
        geometry=geometry,
    )


_READERS = {
    "input": _input,
    "dense": _dense,
    "dense_rec": _dense,
    "recurrent": _dense,
    "conv": _conv,
    "pool": _conv,
    "convT": _conv,
    "unpool": _conv,
    "flatten": _flatten,
}


def _parts(node: Node, neuron: Neuron, rules: Rules) -> tuple[Int64Array, Int64Array | None]:
    """The layer's weights: real ones, and imaginary ones if its neurons are resonators."""
    if neuron.kind is not Resonator:
        if node.is_group("weight"):
            raise node.error(f"complex weights need resonators, got {neuron.kind.__name__}", "weight")
        return _weight(node, "weight", rules), None
    if not node.is_group("weight"):
        raise node.error("resonators need complex weights (weight/real and weight/imag)", "weight")
    group = node.child("weight")
    real, imag = (_weight(group, part, rules) for part in ("real", "imag"))
    if real.shape != imag.shape:
        raise group.error(f"real and imag must have one shape, got {real.shape} and {imag.shape}")
    return real, imag


def _weight(node: Node, name: str, rules: Rules) -> Int64Array:
    return node.integers(name, -LARGE, LARGE, truncate=rules.as_stock)


def _matrix(node: Node, name: str, weight: Int64Array, n_out: int) -> Int64Array:
    if weight.ndim > 2 and weight.shape[2:] == (1,) * (weight.ndim - 2):
        weight = weight.reshape(weight.shape[:2])
    if weight.ndim == 1 and weight.size and weight.size % n_out == 0:
        weight = weight.reshape(n_out, -1)
    if weight.ndim != 2 or weight.shape[0] != n_out or not weight.size:
        raise node.error(f"must be ({n_out}, number of inputs), got {weight.shape}", name)
    return weight


def _kernel(node: Node, weight: Int64Array, transposed_groups: int = 0) -> Int64Array:
    """The kernel as the graph has it; that of a transposed convolution has sources first, as in torch."""
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    if weight.ndim != 4 or not weight.size:
        raise node.error(f"must be (out, in / groups, kernel y, kernel x[, 1]), got {weight.shape}", "weight")
    if transposed_groups:
        if weight.shape[0] % transposed_groups:
            raise node.error(f"{weight.shape[0]} sources are not divided by {transposed_groups} groups", "weight")
        grouped = weight.reshape(transposed_groups, -1, *weight.shape[1:]).swapaxes(1, 2)
        weight = grouped.reshape(-1, *grouped.shape[2:])
    return np.ascontiguousarray(weight.transpose(0, 3, 2, 1))


def _bias(node: Node, shape: tuple[int, ...], neuron: Neuron, rules: Rules) -> Int64Array | None:
    if "bias" not in node:
        return None
    half = 2 ** (neuron.bias_bits - 1)  # Lava wraps what is wider
    limit = LARGE if rules.as_stock else half - 1
    bias = node.integers("bias", -limit - 1, limit, truncate=rules.as_stock)
    if not neuron.bias:
        if bias.any() and not (rules.as_stock and neuron.kind is Resonator):
            raise node.error(
                f"a {neuron.kind.__name__} has no bias" + _RESONATOR_BIAS * (neuron.kind is Resonator), "bias"
            )
        return None
    bias = ((bias + half) % (2 * half)) - half
    if bias.size == 1:
        return bias.reshape(())
    if bias.shape[:-1] == (1,) * (bias.ndim - 1):
        bias = bias.reshape(-1)
    if bias.shape not in (shape, shape[-1:]):
        raise node.error(f"must have one value, {shape[-1]} or {shape}, got shape {bias.shape}", "bias")
    return bias


_RESONATOR_BIAS = "; --as-stock drops it, as stock netx does"


def _delay(node: Node, rules: Rules) -> Int64Array | None:
    if "delay" not in node:
        return None
    high = LARGE if rules.as_stock else 2 * DELAY_STEPS.high  # beyond the first half, relays are needed
    delay = node.integers("delay", -LARGE, LARGE, truncate=rules.as_stock)
    if delay.size and (delay.min() < 0 or delay.max() > high):
        raise node.error(
            f"delays must lie in 0..{high}, got {delay.min()} to {delay.max()}"
            + ("; --as-stock clamps them to 62, as stock netx does" if delay.min() >= 0 else ""),
            "delay",
        )
    return np.minimum(delay, DELAY_STEPS.high) if rules.as_stock else delay
