"""A chain of linear maps as one: pools and factors go into the layer beside them, a norm stays a norm."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
import torch.nn.functional as F

from pumice.frameworks.channels import per_channel
from pumice.frameworks.expressions import Op, Term
from pumice.frameworks.facts import plain, refusal
from pumice.frameworks.kinds import Pair, geometry, kernel


@dataclass(frozen=True, eq=False)
class Linear:
    """One linear map with at most one norm behind it.

    Attributes:
        features: Shape of what enters, without batch and time.
        weight: (out, in), (out, in / groups, height, width), or None where each neuron goes to its own place.
        scale: Where there is no weight, the factor of each channel, or None for 1.
        place: Where its channels begin in a concatenation that it is part of, or None.
        bias: (out,), or None.
        stride: Of a convolution (y, x), like padding and dilation.
        padding: Zeros.
        dilation: Of the kernel.
        groups: Of a convolution.
        norm: A batch norm behind it, or None.
        flattens: Whether the source's image is flattened first.
        learns: Whether it has weights that were trained; else it only pools.
        notes: What the user should know.
    """

    features: tuple[int, ...]
    weight: torch.Tensor | None = None
    scale: torch.Tensor | None = None
    place: int | None = None
    bias: torch.Tensor | None = None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    norm: Any = None
    flattens: bool = False
    learns: bool = False
    notes: tuple[str, ...] = ()

    @property
    def is_conv(self) -> bool:
        """Whether it is a convolution."""
        return self.weight is not None and self.weight.ndim == 4

    @property
    def features_out(self) -> tuple[int, ...]:
        """Shape of what leaves."""
        if self.weight is None:
            return (prod(self.features),) if self.flattens else self.features
        if not self.is_conv:
            return (len(self.weight),)
        axes = zip(*(self.features[1:], self.weight.shape[2:], self.stride, self.padding, self.dilation), strict=True)
        return (len(self.weight), *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes))


def combined(term: Term, features: tuple[int, ...]) -> Linear:
    """All maps of a term, from the source's features, as one.

    Args:
        term: Without max pools.
        features: Shape of what the source sends, without batch and time.

    Raises:
        InputError: They are not one map of the chip's kind; the module is named.

    Example:
        >>> layer = torch.nn.Linear(2, 3)
        >>> combined(Term("input", torch.ones(1, 2), (Op("linear", "fc", (3,), layer),)), (2,)).weight.shape
        torch.Size([3, 2])
    """
    found = Linear(features)
    for op in term.ops:
        found = _STEPS[op.kind](found, op)
    return found


def _linear(found: Linear, op: Op) -> Linear:
    weight = op.module.weight.detach()
    if found.place is not None:
        weight = weight[:, found.place :][:, : prod(found.features_out)]
    if found.learns and not found.is_conv and found.weight is not None and found.norm is None:
        return _behind_linear(found, weight, op)
    _check_first(found, op)
    if found.weight is not None:  # a pool in front
        weight, found = _before_pool(found, weight), Linear(found.features, notes=found.notes)
    elif found.scale is not None:
        weight = weight * found.scale.repeat_interleave(prod(found.features[1:])).to(weight)
    return replace(
        found,
        weight=weight.clone(),
        scale=None,
        place=None,
        bias=_copy(op.module.bias) if op.adds else None,
        learns=True,
        flattens=len(found.features) > 1,
    )


def _behind_linear(found: Linear, weight: torch.Tensor, op: Op) -> Linear:
    """Two matrices in a row as one, their product."""
    assert found.weight is not None
    through = None if found.bias is None else weight @ found.bias
    own = _copy(op.module.bias) if op.adds else None
    note = f"{op.path}: it and the Linear in front of it are one matrix, which is trained as one"
    return replace(
        found,
        weight=weight @ found.weight,
        place=None,
        bias=own if through is None else through if own is None else through + own,
        notes=(*found.notes, note),
    )


def _conv(found: Linear, op: Op) -> Linear:
    _check_first(found, op)
    conv, weight, numbers = op.module, kernel(op.module), geometry(op.module)
    if found.place is not None:
        if conv.groups > 1:
            raise refusal(op.path, "a convolution of a concatenation must have groups=1", "convolve each branch")
        weight = weight[:, found.place :][:, : found.features[0]]
    if found.weight is not None:  # a pool in front
        window = _windows(found, op)
        remainder = [n % k for n, k in zip(found.features[1:], window, strict=True)]
        if numbers["dilation"] != (1, 1) or (any(numbers["padding"]) and any(remainder)):
            raise refusal(
                op.path,
                f"a convolution behind a pool must have dilation 1 and, with padding, an image {found.features[1:]} "
                f"that the pool {window} divides",
                "pad or crop the image, or pool behind the convolution",
            )
        weight = weight.repeat_interleave(window[0], 2).repeat_interleave(window[1], 3)
        weight = weight * _of_sources(found.weight[:, 0, 0, 0], weight, conv.groups)
        numbers = {**numbers, **{name: _times(numbers[name], window) for name in ("stride", "padding")}}
    elif found.scale is not None:
        weight = weight * _of_sources(found.scale, weight, conv.groups)
    return replace(
        found,
        weight=weight.clone(),
        scale=None,
        place=None,
        bias=_copy(conv.bias) if op.adds else None,
        **numbers,
        groups=conv.groups,
        learns=True,
    )


def _of_sources(factors: torch.Tensor, weight: torch.Tensor, groups: int) -> torch.Tensor:
    """Factors of a convolution's source channels, as its weight has them."""
    each = factors.to(weight).reshape(groups, 1, -1).expand(-1, len(weight) // groups, -1)
    return each.reshape(*weight.shape[:2], 1, 1)


def _norm(found: Linear, op: Op) -> Linear:
    if found.norm is not None:
        raise refusal(op.path, "one norm may follow a layer, got two", "fold one into the other")
    if found.flattens and not found.learns:
        raise refusal(
            op.path, "a norm must not follow a flattened image without a layer", "put it before the flatten"
        )
    if found.place is None and op.features[0] != found.features_out[0]:
        raise refusal(
            op.path, "a norm must be of channels, got one of a flattened image", "put it before the flatten"
        )
    norm = op.module if found.place is None else _part_of(op.module, found.place, found.features_out[0])
    if not op.folds and found.scale is None:
        return replace(found, norm=norm)
    gain, offset = gain_and_offset(norm)
    scaled = _times_channels(found, op.path, gain)
    bias = scaled.bias if not op.adds else offset if scaled.bias is None else scaled.bias + offset
    note = f"{op.path}: the norm of a sum of spikes is folded into its layer"
    return replace(scaled, bias=bias, notes=(*found.notes, note))


def gain_and_offset(norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """What a batch norm multiplies by, and adds, in evaluation mode.

    Example:
        >>> gain_and_offset(torch.nn.BatchNorm1d(1, eps=0).eval())
        (tensor([1.]), tensor([0.]))
    """
    gain = (norm.running_var.detach() + norm.eps).rsqrt()
    if norm.weight is not None:
        gain = gain * norm.weight.detach()
    offset = -norm.running_mean.detach() * gain
    return gain, offset if norm.bias is None else offset + norm.bias.detach()


def _part_of(norm: Any, first: int, channels: int) -> Any:
    """The norm of some of the channels."""
    part = copy.deepcopy(norm)
    part.num_features = channels
    for name in ("running_mean", "running_var", "weight", "bias"):
        if (values := getattr(norm, name)) is not None:
            getattr(part, name).data = values.detach()[first:][:channels].clone()
    return part


def _one_to_one(found: Linear, op: Op) -> Linear:
    if found.norm is not None:
        raise refusal(op.path, "a weight of each neuron must not follow a norm", "put it into the norm's weights")
    weight = per_channel(op.path, "the weight", plain(op.module.weight), found.features_out)
    factors = torch.as_tensor(weight, dtype=torch.get_default_dtype()).expand(found.features_out[0])
    return replace(_times_channels(found, op.path, factors), learns=True)


def _times_channels(found: Linear, path: str, factors: torch.Tensor) -> Linear:
    """The map, times a factor for each of the channels that leave."""
    if found.weight is not None:
        rows = factors.to(found.weight)
        return replace(
            found,
            weight=found.weight * rows.reshape(-1, *[1] * (found.weight.ndim - 1)),
            bias=None if found.bias is None else found.bias * rows,
        )
    if found.flattens:
        factors = torch.as_tensor(per_channel(path, "the weight", factors.reshape(found.features), found.features))
        factors = factors.expand(found.features[0])
    bias = None if found.bias is None else found.bias * factors
    return replace(found, scale=factors if found.scale is None else found.scale * factors, bias=bias)


def _avg_pool(found: Linear, op: Op) -> Linear:
    window, stride, padding, divisor = op.values
    if found.weight is None:
        channels = found.features[0]
        weight = torch.full((channels, 1, *window), 1 / divisor, dtype=torch.get_default_dtype())
        if found.scale is not None:
            weight = weight * found.scale.reshape(-1, 1, 1, 1).to(weight)
        return replace(found, weight=weight, scale=None, stride=stride, padding=padding, groups=channels)
    if not found.is_conv or any(padding) or found.dilation != (1, 1):
        raise refusal(
            op.path,
            "a pool behind a layer must have no padding and a convolution without dilation in front",
            "put neurons in between, or pool in front of the layer",
        )
    if found.norm is not None and divisor != prod(window):
        raise refusal(op.path, "a sum pool must not follow a norm", "use an average pool")
    height, width = (k + s * (p - 1) for k, s, p in zip(found.weight.shape[2:], found.stride, window, strict=True))
    weight = found.weight.new_zeros(*found.weight.shape[:2], height, width)
    for y in range(window[0]):
        for x in range(window[1]):
            top, left = y * found.stride[0], x * found.stride[1]
            weight[:, :, top : top + found.weight.shape[2], left : left + found.weight.shape[3]] += found.weight
    note = (
        () if found.norm is None else (f"{op.path}: trained further, the norm's statistics are those after the pool",)
    )
    return replace(
        found,
        weight=weight / divisor,
        bias=None if found.bias is None else found.bias * (prod(window) / divisor),
        stride=_times(found.stride, stride),
        notes=found.notes + note,
    )


def _flatten(found: Linear, op: Op) -> Linear:
    if found.place is not None:
        found = replace(found, place=found.place * prod(found.features_out[1:]))
    return found if found.learns else replace(found, flattens=len(found.features) > 1)


def _scale(found: Linear, op: Op) -> Linear:
    (factor,) = op.values
    if found.norm is not None:
        raise refusal(op.path, f"a factor {factor:g} must not follow a norm", "put it into the norm's weights")
    return _times_channels(found, op.path, torch.full(found.features_out[:1], factor))


def _place(found: Linear, op: Op) -> Linear:
    return replace(found, place=(found.place or 0) + op.values[0])


def _not(found: Linear, op: Op) -> Linear:
    raise refusal(op.path, "1 - spikes must be multiplied by spikes", "write b - W s as a layer with a bias")


_STEPS: dict[str, Callable[[Linear, Op], Linear]] = {
    "linear": _linear,
    "conv": _conv,
    "norm": _norm,
    "avg_pool": _avg_pool,
    "flatten": _flatten,
    "scale": _scale,
    "one_to_one": _one_to_one,
    "place": _place,
    "not": _not,
}


def _check_first(found: Linear, op: Op) -> None:
    is_layer = found.learns and found.weight is not None
    if is_layer or found.norm is not None or found.bias is not None or (found.flattens and op.kind == "conv"):
        raise refusal(
            op.path,
            "two layers must have neurons between them, got two in a row",
            "put neurons in between, or make them one layer",
        )


def _windows(pool: Linear, op: Op) -> Pair:
    assert pool.weight is not None
    window = (pool.weight.shape[2], pool.weight.shape[3])
    if tuple(pool.stride) != window or any(pool.padding):
        raise refusal(
            op.path,
            f"a pool in front of a layer must have windows side by side, got kernel {window}, stride "
            f"{tuple(pool.stride)}, padding {tuple(pool.padding)}",
            "use stride = kernel_size and no padding, or put neurons in between",
        )
    return window


def _before_pool(pool: Linear, weight: torch.Tensor) -> torch.Tensor:
    """A matrix on what a pool gives as one on what the pool takes: the pool's adjoint, applied to each row."""
    assert pool.weight is not None
    with torch.inference_mode(False), torch.enable_grad():
        image = torch.zeros(len(weight), *pool.features, dtype=weight.dtype, device=weight.device, requires_grad=True)
        pooled = F.conv2d(image, pool.weight.to(weight), None, pool.stride, pool.padding, 1, pool.groups)
        (rows,) = torch.autograd.grad(pooled, image, weight.clone().reshape(pooled.shape))
    return rows.flatten(1)


def _times(a: Any, b: Any) -> Pair:
    return (a[0] * b[0], a[1] * b[1])


def _copy(x: torch.Tensor | None) -> torch.Tensor | None:
    return None if x is None else x.detach().clone()
