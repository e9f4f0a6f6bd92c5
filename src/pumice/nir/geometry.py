"""Shapes and float maps of the linear nodes of NIR; images are (C, H, W), one-dimensional ones (C, L) have H = 1."""

from __future__ import annotations

import math

import numpy as np

from pumice.nir.maps import Diagonal, FloatArray, Kernel, LinearMap, Matrix, Shape, identity, image_shape
from pumice.nir.neurons import NEURONS
from pumice.nir.reader import INNER, NirNode

MAX_NEURONS = 1 << 22
"""Values that a node may send in one step, and of an image with its padding."""
_KEEP_SHAPE = (*NEURONS, "Output", "Scale", "Delay", INNER)


def node_shape(node: NirNode, source: Shape) -> Shape:
    """Shape of what leaves a node.

    Raises:
        FileFormatError: The node does not fit what arrives at it.
    """
    if node.type in _KEEP_SHAPE:
        return source
    if node.type == "Flatten":
        _check_flatten(node, source)
        return (int(np.prod(source)),)
    if node.type in ("Affine", "Linear"):
        weight = node.floats("weight")
        if weight.ndim != 2:
            raise node.error(
                f"weight must be a matrix (out, in), got shape {weight.shape}; batched ones are not read"
            )
        if source != (weight.shape[1],):
            raise node.error(f"weight {weight.shape} takes ({weight.shape[1]},), what arrives is {source}")
        return (len(weight),)
    kernel = _kernel(node, source)
    height, width = (n + 2 * p for n, p in zip(image_shape(source)[1:], kernel.padding, strict=True))
    checked_size(node, (source[0], height, width))
    shape = kernel.target_shape(source)
    if min(shape) < 1:
        raise node.error(f"its kernel {kernel.weight.shape[2:]} does not fit into {source}")
    return (shape[0], shape[2]) if node.type == "Conv1d" else shape


def checked_size(node: NirNode, shape: Shape) -> Shape:
    """The same shape, if it is of a size that is read.

    Raises:
        FileFormatError: It means more than MAX_NEURONS values.
    """
    if (count := math.prod(shape)) > MAX_NEURONS:
        raise node.error(f"{shape} means {count} values, at most {MAX_NEURONS} are read")
    return shape


def linear_map(node: NirNode, source: Shape) -> tuple[LinearMap, FloatArray]:
    """What a node does to what arrives, and the bias that it adds (of its output's shape)."""
    target = node_shape(node, source)
    none = np.zeros(target)
    if node.type in ("Flatten", "Output", INNER):
        return identity(), none
    if node.type == "Scale":
        scale = node.floats("scale")
        if scale.size != 1 and scale.shape != source:
            raise node.error(
                f"scale must be one number or have the shape of what arrives, {source}, got {scale.shape}"
            )
        return Diagonal(scale.reshape(()) if scale.size == 1 else scale), none
    if node.type in ("Affine", "Linear"):
        return Matrix(node.floats("weight")), none + _bias(node, (target[0],))
    kernel = _kernel(node, source)
    bias = _bias(node, (target[0],))
    return kernel, none + bias.reshape(-1, *(1,) * (len(target) - 1))


def _bias(node: NirNode, shape: Shape) -> FloatArray:
    bias = node.floats("bias", 0.0)
    if bias.size == 1:
        return np.full(shape, bias.reshape(-1)[0])
    if bias.shape != shape:
        raise node.error(f"bias must have shape {shape}, got {bias.shape}")
    return bias


def _kernel(node: NirNode, source: Shape) -> Kernel:
    dims = 1 if node.type == "Conv1d" else 2
    if len(source) != dims + 1:
        expected = "(C, L)" if dims == 1 else "(C, H, W)"
        raise node.error(f"takes {expected}, what arrives is {source}")
    if node.type in ("SumPool2d", "AvgPool2d"):
        return _pool(node, source)
    weight = node.floats("weight")
    if weight.ndim != dims + 2:
        raise node.error(f"weight must have {dims + 2} dimensions (out, in / groups, kernel), got {weight.shape}")
    groups = node.one("groups", 1)
    if len(weight) % groups or weight.shape[1] * groups != source[0]:
        raise node.error(
            f"weight {weight.shape} with groups = {groups} takes {weight.shape[1] * groups} "
            f"channels, {source[0]} arrive"
        )
    stride, dilation = _pair(node, "stride", 1, dims), _pair(node, "dilation", 1, dims)
    if dims == 1:
        weight = weight[:, :, None]
    padding, weight = _padding(node, weight, stride, dilation, dims)
    return Kernel(weight, stride, padding, dilation, groups)


def _padding(
    node: NirNode, weight: FloatArray, stride: tuple[int, int], dilation: tuple[int, int], dims: int
) -> tuple[tuple[int, int], FloatArray]:
    value = node.fields["padding"]
    if not isinstance(value, str):
        return _pair(node, "padding", 0, dims), weight
    if value == "valid":
        return (0, 0), weight
    if value != "same":
        raise node.error(f"padding must be numbers, 'same' or 'valid', got {value!r}")
    if stride != (1, 1):
        raise node.error(f"padding 'same' goes with a stride of 1, got {stride}")
    pads, grow = [], []
    for size, step in zip(weight.shape[2:], dilation, strict=True):
        total = step * (size - 1)
        if total % 2 and step > 1:
            raise node.error(f"padding 'same' of an even kernel with dilation {step} is not symmetric; state numbers")
        # An even kernel is padded with one more behind it; a tap of weight 0 in front of it makes both sides equal.
        pads.append((total + 1) // 2)
        grow.append((total % 2, 0))
    return (pads[0], pads[1]), np.pad(weight, ((0, 0), (0, 0), *grow))


def _pool(node: NirNode, source: Shape) -> Kernel:
    size = _pair(node, "kernel_size", 1, 2)
    weight = np.ones((source[0], 1, *size))
    if node.type == "AvgPool2d":
        weight = weight / (size[0] * size[1])
    return Kernel(weight, _pair(node, "stride", 1, 2), _pair(node, "padding", 0, 2), (1, 1), source[0])


def _pair(node: NirNode, field: str, low: int, dims: int) -> tuple[int, int]:
    values = node.whole(field, low)
    if dims == 1 and len(values) == 1:
        return (low, values[0])
    if dims == 1 or len(values) > 2:
        raise node.error(f"{field} must be {'one number' if dims == 1 else 'one or two numbers'}, got {len(values)}")
    return values[0], values[-1]


def _check_flatten(node: NirNode, source: Shape) -> None:
    start, end = node.one("start_dim", -8, 0), node.one("end_dim", -8, -1)
    if start % len(source) or end % len(source) != len(source) - 1:
        raise node.error(
            f"start_dim must be 0 and end_dim -1, so that all of {source} is flattened, got {start} and {end}"
        )
