"""A chain of linear maps as one: pools go into the layer beside them, a norm stays a norm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
import torch.nn.functional as F

from pumice.frameworks.expressions import Op, Term
from pumice.frameworks.facts import refusal

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Linear:
    """One linear map with at most one norm behind it.

    Attributes:
        features: Shape of what enters, without batch and time.
        weight: (out, in), (out, in / groups, height, width), or None for the identity.
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
    _check_first(found, op)
    weight = op.module.weight.detach()
    if found.weight is not None:  # a pool in front
        weight, found = _before_pool(found, weight), Linear(found.features, notes=found.notes)
    return replace(
        found, weight=weight.clone(), bias=_copy(op.module.bias), learns=True, flattens=len(found.features) > 1
    )


def _conv(found: Linear, op: Op) -> Linear:
    _check_first(found, op)
    conv, weight = op.module, op.module.weight.detach()
    stride, padding = conv.stride, conv.padding
    if found.weight is not None:  # a pool in front
        kernel = _windows(found, op)
        remainder = [n % k for n, k in zip(found.features[1:], kernel, strict=True)]
        if conv.dilation != (1, 1) or (any(padding) and any(remainder)):
            raise refusal(
                op.path,
                f"a convolution behind a pool must have dilation 1 and, with padding, an image {found.features[1:]} "
                f"that the pool {kernel} divides",
                "pad or crop the image, or pool behind the convolution",
            )
        weight = weight.repeat_interleave(kernel[0], 2).repeat_interleave(kernel[1], 3) * found.weight[0, 0, 0, 0]
        stride, padding = _times(stride, kernel), _times(padding, kernel)
    return replace(
        found,
        weight=weight.clone(),
        bias=_copy(conv.bias),
        stride=stride,
        padding=padding,
        dilation=conv.dilation,
        groups=conv.groups,
        learns=True,
    )


def _norm(found: Linear, op: Op) -> Linear:
    if found.norm is not None:
        raise refusal(op.path, "one norm may follow a layer, got two", "fold one into the other")
    if found.flattens and not found.learns:
        raise refusal(
            op.path, "a norm must not follow a flattened image without a layer", "put it before the flatten"
        )
    return replace(found, norm=op.module)


def _avg_pool(found: Linear, op: Op) -> Linear:
    kernel, stride, padding, divisor = op.values
    if found.weight is None:
        channels = found.features[0]
        weight = torch.full((channels, 1, *kernel), 1 / divisor, dtype=torch.get_default_dtype())
        return replace(found, weight=weight, stride=stride, padding=padding, groups=channels)
    if not found.is_conv or any(padding) or found.dilation != (1, 1):
        raise refusal(
            op.path,
            "a pool behind a layer must have no padding and a convolution without dilation in front",
            "put neurons in between, or pool in front of the layer",
        )
    if found.norm is not None and divisor != prod(kernel):
        raise refusal(op.path, "a sum pool must not follow a norm", "use an average pool")
    height, width = (k + s * (p - 1) for k, s, p in zip(found.weight.shape[2:], found.stride, kernel, strict=True))
    weight = found.weight.new_zeros(*found.weight.shape[:2], height, width)
    for y in range(kernel[0]):
        for x in range(kernel[1]):
            top, left = y * found.stride[0], x * found.stride[1]
            weight[:, :, top : top + found.weight.shape[2], left : left + found.weight.shape[3]] += found.weight
    note = (
        () if found.norm is None else (f"{op.path}: trained further, the norm's statistics are those after the pool",)
    )
    return replace(
        found,
        weight=weight / divisor,
        bias=None if found.bias is None else found.bias * (prod(kernel) / divisor),
        stride=_times(found.stride, stride),
        notes=found.notes + note,
    )


def _flatten(found: Linear, op: Op) -> Linear:
    return found if found.learns else replace(found, flattens=len(found.features) > 1)


def _scale(found: Linear, op: Op) -> Linear:
    (factor,) = op.values
    if found.norm is not None or found.weight is None:
        raise refusal(op.path, f"a factor {factor:g} must be on a layer's output", "put it into the layer's weights")
    return replace(found, weight=found.weight * factor, bias=None if found.bias is None else found.bias * factor)


_STEPS: dict[str, Callable[[Linear, Op], Linear]] = {
    "linear": _linear,
    "conv": _conv,
    "norm": _norm,
    "avg_pool": _avg_pool,
    "flatten": _flatten,
    "scale": _scale,
}


def _check_first(found: Linear, op: Op) -> None:
    if found.learns or found.norm is not None or (found.flattens and op.kind == "conv"):
        raise refusal(
            op.path,
            "two layers must have neurons between them, got two in a row",
            "put neurons in between, or make them one layer",
        )


def _windows(pool: Linear, op: Op) -> Pair:
    assert pool.weight is not None
    kernel = (pool.weight.shape[2], pool.weight.shape[3])
    if tuple(pool.stride) != kernel or any(pool.padding):
        raise refusal(
            op.path,
            f"a pool in front of a layer must have windows side by side, got kernel {kernel}, stride "
            f"{tuple(pool.stride)}, padding {tuple(pool.padding)}",
            "use stride = kernel_size and no padding, or put neurons in between",
        )
    return kernel


def _before_pool(pool: Linear, weight: torch.Tensor) -> torch.Tensor:
    """A matrix on what a pool gives as one on what the pool takes: the pool's adjoint, applied to each row."""
    assert pool.weight is not None
    with torch.inference_mode(False), torch.enable_grad():
        image = torch.zeros(len(weight), *pool.features, dtype=weight.dtype, device=weight.device, requires_grad=True)
        kernel = pool.weight.to(weight)
        pooled = F.conv2d(image, kernel, None, pool.stride, pool.padding, 1, pool.groups)
        (rows,) = torch.autograd.grad(pooled, image, weight.clone().reshape(pooled.shape))
    return rows.flatten(1)


def _times(a: Any, b: Any) -> Pair:
    return (a[0] * b[0], a[1] * b[1])


def _copy(x: torch.Tensor | None) -> torch.Tensor | None:
    return None if x is None else x.detach().clone()
