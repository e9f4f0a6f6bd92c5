"""One layer of a stock NetX file as plain integers, before any rule of stock netx is applied to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.netx.fields import LARGE, Node

Int64Array = npt.NDArray[np.int64]

MAX_GEOMETRY = 2**15
LATER = ("pool", "average", "concat", "convT", "unpool", "dense_comp")
"""Layer types that lava-dl writes and this reader does not support."""
_NOT_READ = {"shape", "type", "inFeatures", "outFeatures", "inChannels", "outChannels", "kernelSize", "neuron"}
_NEURON_NOT_READ = {"theta", "tauRho", "scaleRho", "tau_rho", "scale_rho"}


@dataclass(frozen=True, eq=False)
class Neuron:
    """CUBA parameters of a layer; arrays broadcast against the layer's (x, y, channel)."""

    i_decay_q12: int | Int64Array
    v_decay_q12: int | Int64Array
    vth_mant: int


# What stock netx assumes for a dense layer without a neuron group: u keeps everything and v = u. Its source
# reads `1 << 18 - 1`, which is 1 << 17.
DEFAULT_NEURON = Neuron(i_decay_q12=0, v_decay_q12=4096, vth_mant=1 << 17)


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer as the file has it.

    Attributes:
        index: Its number in the file.
        where: Its place, for messages.
        kind: "input", "dense", "dense_rec", "conv" or "flatten".
        shape: Lava's order, (x, y, channel) or (features,); empty for flatten and for an input without shape.
        neuron: None for an input layer without neurons and for flatten.
        weight: dense: (out, in); conv: (out, kernel_x, kernel_y, in / groups).
        weight_rec: (out, out) of a dense_rec layer.
        bias: Integers, or None.
        delay: Integers: a number, one per neuron or input, or one per weight; None without delays.
        geometry: stride, padding, dilation (each (x, y)) and groups of a convolution.
        transform: weight and bias of an input layer: for the data loader, not used by the network.
    """

    index: int
    where: str
    kind: str
    shape: tuple[int, ...] = ()
    neuron: Neuron | None = None
    weight: Int64Array | None = None
    weight_rec: Int64Array | None = None
    bias: Int64Array | None = None
    delay: Int64Array | None = None
    geometry: dict[str, Any] | None = None
    transform: tuple[float, float] | None = None


def read_layer(node: Node, index: int, *, as_stock: bool) -> tuple[Layer, list[str]]:
    """Read the layer in group `node`.

    Args:
        node: The group /layer/<index>.
        index: Its number.
        as_stock: Drop fractions and ignore flags where stock netx does.

    Returns:
        The layer and the names of fields that mean nothing to this reader (nor to stock netx).

    Raises:
        FileFormatError: The layer is damaged, of a type that is not supported, or says what cannot be honoured.
    """
    kind = node.text("type")
    if kind in LATER:
        raise node.error(f"layer type {kind!r} is not supported yet (stock netx refuses or skips it, too)")
    reader = _READERS.get(kind)
    if reader is None:
        raise node.error(
            f"unknown layer type {kind!r}; known are {', '.join(_READERS)} (stock netx would skip it without a word)"
        )
    layer = reader(node, index, kind, as_stock)
    known = _NOT_READ | {"weight", "weight_rec", "bias", "delay", "stride", "padding", "dilation", "groups"}
    unknown = [name for name in node.names() if name not in known]
    return layer, [f"{node.where}/{name}" for name in unknown]


def _flatten(node: Node, index: int, kind: str, as_stock: bool) -> Layer:
    return Layer(index, node.where, kind)


def _input(node: Node, index: int, kind: str, as_stock: bool) -> Layer:
    shape = node.shape()[::-1] if "shape" in node else ()
    neuron = _neuron(node.child("neuron"), shape, as_stock) if "neuron" in node else None
    values = [
        float(node.numbers(name).reshape(-1)[0]) if name in node and node.numbers(name).size else default
        for name, default in (("weight", 64.0), ("bias", 0.0))
    ]
    transform = (values[0], values[1]) if "weight" in node or "bias" in node else None
    return Layer(index, node.where, kind, shape, neuron, transform=transform)


def _dense(node: Node, index: int, kind: str, as_stock: bool) -> Layer:
    n = int(np.prod(node.shape()))
    return Layer(
        index,
        node.where,
        kind,
        (n,),
        _neuron(node.child("neuron"), (n,), as_stock) if "neuron" in node else DEFAULT_NEURON,
        weight=_matrix(node, "weight", n, as_stock),
        weight_rec=_matrix(node, "weight_rec", n, as_stock) if kind == "dense_rec" else None,
        bias=_bias(node, (n,), as_stock),
        delay=_delay(node, as_stock),
    )


def _conv(node: Node, index: int, kind: str, as_stock: bool) -> Layer:
    shape = node.shape()[::-1]
    if len(shape) != 3:
        raise node.error(f"must be (channel, height, width), got {shape[::-1]}", "shape")
    weight = _weight(node, "weight", as_stock)
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    if weight.ndim != 4 or not weight.size:
        raise node.error(f"must be (out, in / groups, kernel y, kernel x[, 1]), got {weight.shape}", "weight")
    geometry = {
        name: node.pair(name, low, MAX_GEOMETRY)[::-1]  # the file has (y, x)
        for name, low in (("stride", 1), ("padding", 0), ("dilation", 1))
    }
    return Layer(
        index,
        node.where,
        kind,
        shape,
        _neuron(node.child("neuron"), shape, as_stock),
        weight=np.ascontiguousarray(weight.transpose(0, 3, 2, 1)),
        bias=_bias(node, shape, as_stock),
        delay=_delay(node, as_stock),
        geometry={**geometry, "groups": node.integer("groups", 1, LARGE)},
    )


_READERS = {"input": _input, "dense": _dense, "dense_rec": _dense, "conv": _conv, "flatten": _flatten}


def _neuron(node: Node, shape: tuple[int, ...], as_stock: bool) -> Neuron:
    kind = node.text("type")
    if kind not in ("CUBA", "LOIHI"):
        raise node.error(f"neuron type {kind!r} is not supported yet; supported are CUBA and LOIHI", "type")
    if not as_stock:
        _refuse_ignored_flags(node)
    decays = [_decay(node, name, shape) for name in ("iDecay", "vDecay")]
    return Neuron(decays[0], decays[1], node.integer("vThMant", 0, 2**18 - 1))


def _refuse_ignored_flags(node: Node) -> None:
    """Fields that change what was trained, and that stock netx does not look at."""
    for name, neutral, meaning in (
        ("gradedSpike", 0, "graded spikes"),
        ("messageBits", 0, "graded spikes"),
        ("weight_exp", 0, "a weight exponent"),
        ("wgtExp", 0, "a weight exponent"),
        ("refDelay", 1, "a refractory period"),
    ):
        if name in node and np.any(node.numbers(name) != neutral):
            raise node.error(
                f"{meaning} cannot be represented (only {name} = {neutral}); --as-stock ignores the field, "
                "as stock netx does",
                name,
            )


def _decay(node: Node, name: str, shape: tuple[int, ...]) -> int | Int64Array:
    values = node.integers(name, 0, 4096)
    if values.size == 1:
        return int(values.reshape(()))
    try:
        np.broadcast_to(values, shape)
    except ValueError:
        raise node.error(f"of shape {values.shape} does not fit the layer's shape {shape}", name) from None
    return values


def _weight(node: Node, name: str, as_stock: bool) -> Int64Array:
    if node.is_group(name):
        raise node.error("complex weights are not supported yet", name)
    return node.integers(name, -LARGE, LARGE, truncate=as_stock)


def _matrix(node: Node, name: str, n_out: int, as_stock: bool) -> Int64Array:
    weight = _weight(node, name, as_stock)
    if weight.ndim > 2 and weight.shape[2:] == (1,) * (weight.ndim - 2):
        weight = weight.reshape(weight.shape[:2])
    if weight.ndim == 1 and weight.size and weight.size % n_out == 0:
        weight = weight.reshape(n_out, -1)
    if weight.ndim != 2 or weight.shape[0] != n_out or not weight.size:
        raise node.error(f"must be ({n_out}, number of inputs), got {weight.shape}", name)
    return weight


def _bias(node: Node, shape: tuple[int, ...], as_stock: bool) -> Int64Array | None:
    if "bias" not in node:
        return None
    limit = LARGE if as_stock else 2**15 - 1  # Lava holds 16 bits, and wraps
    bias = node.integers("bias", -limit - 1, limit, truncate=as_stock)
    bias = ((bias + 2**15) % 2**16) - 2**15
    if bias.size == 1:
        return bias.reshape(())
    if bias.shape not in (shape, shape[-1:]):
        raise node.error(f"must have one value, {shape[-1]} or {shape}, got shape {bias.shape}", "bias")
    return bias


def _delay(node: Node, as_stock: bool) -> Int64Array | None:
    if "delay" not in node:
        return None
    high = LARGE if as_stock else 62
    delay = node.integers("delay", -LARGE, LARGE, truncate=as_stock)
    if delay.size and (delay.min() < 0 or delay.max() > high):
        raise node.error(
            f"delays must lie in 0..62, got {delay.min()} to {delay.max()}"
            + ("; --as-stock clamps them to 62, as stock netx does" if delay.min() >= 0 else ""),
            "delay",
        )
    return np.minimum(delay, 62)
