"""Writes synapses and convolutions, made to fit the shapes that come in and, where currents are summed, go out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import gcd
from typing import Any

from pumice.testing.auditing.pen import OURS, Pen, Shape, Value, call_source, norm_source

Options = Mapping[str, Any]

_PLAIN = {"kernel": [1, 1], "stride": [1, 1], "padding": [0, 0], "dilation": [1, 1]}
"""A convolution's options where a case does not say which."""


def conv_options(shape: Shape, out: int, wishes: Options) -> tuple[dict[str, Any], Shape]:
    """Arguments of a convolution that an image of this shape can pass, and the shape behind it.

    Args:
        shape: (channel, height, width).
        out: Channels behind it.
        wishes: kernel, stride, padding and dilation as (height, width), and groups.

    Example:
        >>> conv_options((2, 4, 3), 6, {"kernel": [3, 5], "groups": 4})
        ({'kernel_size': (3, 3), 'groups': 2}, (6, 2, 1))
    """
    axes = [
        _axis(n, *(wishes.get(name, plain)[i] for name, plain in _PLAIN.items())) for i, n in enumerate(shape[1:])
    ]
    behind = (out, *(_behind(n, *axis) for n, axis in zip(shape[1:], axes, strict=True)))
    kernel, stride, padding, dilation = (tuple(pair) for pair in zip(*axes, strict=True))
    groups = gcd(int(wishes.get("groups", 1)), shape[0], out)
    options = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    plain = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    return {name: value for name, value in options.items() if plain.get(name) != value}, behind


def write_synapse(
    pen: Pen, value: Value, wishes: Options, target: Shape | None = None, threshold: float | None = None
) -> tuple[str, Shape] | None:
    """Make a synapse for a value.

    Args:
        pen: Writes it.
        value: Spikes.
        wishes: kind (a key of `_KINDS`), out, norm, alpha, tag, and what the kind has.
        target: Shape that its current must have; any, if None.
        threshold: What the norm has to be told, where the synapse's block does not do it.

    Returns:
        The attribute that holds it and the shape of its current; None if no synapse leads to the target.
    """
    for kind, asked in _attempts(value, wishes, target):
        source, shape = _KINDS[kind](value, asked, _norm(asked, threshold))
        if target is None or shape == target:
            return pen.module("synapse", source, str(wishes.get("tag", ""))), shape
    return None


def write_recurrent(pen: Pen, shape: Shape, wishes: Options) -> str:
    """Make a synapse from neurons of this shape to themselves: kind ("one-to-one", or over channels) and tag.

    Returns:
        The attribute that holds it.
    """
    channels = shape[0]
    if wishes.get("kind") == "one-to-one":
        source = call_source("nn.OneToOneSynapse", channels)
    elif len(shape) > 1:
        source = call_source("nn.ConvSynapse", channels, channels, (3, 3), padding=(1, 1))
    else:
        source = call_source("nn.DenseSynapse", channels, channels)
    return pen.module("synapse", source, str(wishes.get("tag", "")))


def _norm(wishes: Options, threshold: float | None) -> dict[str, str]:
    name = wishes.get("norm")
    if name not in OURS:
        return {}
    return {"norm": norm_source(name, alpha=wishes.get("alpha"), threshold=threshold)}


def _attempts(value: Value, wishes: Options, target: Shape | None) -> Iterator[tuple[str, Options]]:
    """Kinds of synapses and their options, the wished one first, then whatever may lead to the target."""
    kind = wishes.get("kind", "dense")
    if value.is_image:
        kind = {"dense": "linear"}.get(kind, kind)
    elif kind not in {"identity", "linear", "one-to-one"}:
        kind = "dense"
    out = wishes.get("out", 4) if target is None else target[0]
    wished = {**wishes, "out": out}
    yield kind, wished
    if target is None:
        return
    if len(target) == 1:
        yield ("linear" if value.is_image else "dense"), wished
    elif value.is_image:
        fits = [
            [a for a in product((1, 2, 3, 4), (1, 2, 3, 4), (0, 1, 2), (1,)) if _leads(n, to, a)]
            for n, to in zip(value.shape[1:], target[1:], strict=True)
        ]
        if all(fits):
            names = list(_PLAIN)
            yield "conv", {**wished, **{names[i]: [fits[0][0][i], fits[1][0][i]] for i in range(4)}}


def _leads(n: int, to: int, axis: tuple[int, int, int, int]) -> bool:
    kernel, _, padding, dilation = axis
    return n + 2 * padding >= dilation * (kernel - 1) + 1 and _behind(n, *axis) == to


def _behind(n: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _axis(n: int, kernel: int, stride: int, padding: int, dilation: int) -> tuple[int, int, int, int]:
    """The wishes for one axis, with a kernel that fits."""
    if dilation * (kernel - 1) + 1 > n + 2 * padding:
        dilation = 1
    return min(kernel, n + 2 * padding), stride, padding, dilation


def _conv(value: Value, wishes: Options, norm: dict[str, str]) -> tuple[str, Shape]:
    options, shape = conv_options(value.shape, wishes["out"], wishes)
    kernel = options.pop("kernel_size")
    return call_source("nn.ConvSynapse", value.shape[0], shape[0], kernel, **options, **norm), shape


def _dense(value: Value, wishes: Options, norm: dict[str, str]) -> tuple[str, Shape]:
    return call_source("nn.DenseSynapse", value.size, wishes["out"], **norm), (wishes["out"],)


def _identity(value: Value, wishes: Options, norm: dict[str, str]) -> tuple[str, Shape]:
    return call_source("nn.IdentitySynapse", value.shape[0], **norm), value.shape


def _one_to_one(value: Value, wishes: Options, norm: dict[str, str]) -> tuple[str, Shape]:
    return call_source("nn.OneToOneSynapse", value.shape[0], **norm), value.shape


def _mixing(value: Value, wishes: Options, norm: dict[str, str]) -> tuple[str, Shape]:
    channels, height, width = value.shape
    heads = gcd(int(wishes.get("heads", 1)), channels)
    return call_source("nn.TokenMixingSynapse", channels, tokens=height * width, heads=heads), value.shape


def _linear(value: Value, wishes: Options, norm: dict[str, str]) -> tuple[str, Shape]:
    positions = {"positions": value.size // value.shape[0]} if value.is_image else {}
    return call_source("nn.LinearSynapse", value.shape[0], wishes["out"], **positions), (wishes["out"],)


def _convt(value: Value, wishes: Options, norm: dict[str, str]) -> tuple[str, Shape]:
    groups = gcd(int(wishes.get("groups", 1)), value.shape[0], wishes["out"])
    plain = {**_PLAIN, "output_padding": [0, 0]}
    axes = [_axis_up(n, [wishes.get(name, plain[name])[i] for name in _UP]) for i, n in enumerate(value.shape[1:])]
    options: dict[str, Any] = {name: tuple(axis[k] for axis in axes) for k, name in enumerate(_UP)}
    size = tuple(
        (n - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1
        for n, (kernel, stride, dilation, padding, output_padding) in zip(value.shape[1:], axes, strict=True)
    )
    kernel = options.pop("kernel")
    source = call_source(
        "nn.ConvTransposeSynapse", value.shape[0], wishes["out"], kernel, **options, groups=groups, **norm
    )
    return source, (wishes["out"], *size)


_UP = ("kernel", "stride", "dilation", "padding", "output_padding")


def _axis_up(n: int, wishes: Sequence[int]) -> tuple[int, ...]:
    """The wishes for one axis, so that something is left."""
    kernel, stride, dilation, padding, output_padding = wishes
    output_padding = min(output_padding, max(stride, dilation) - 1)
    most = ((n - 1) * stride + dilation * (kernel - 1) + output_padding) // 2
    return kernel, stride, dilation, min(padding, most), output_padding


def _upsample(value: Value, wishes: Options, norm: dict[str, str]) -> tuple[str, Shape]:
    channels, height, width = value.shape
    y, x = wishes.get("factor", [2, 2])
    return call_source("nn.UpsampleSynapse", channels, (y, x), **norm), (channels, y * height, x * width)


_KINDS = {
    "conv": _conv,
    "convt": _convt,
    "dense": _dense,
    "identity": _identity,
    "linear": _linear,
    "mixing": _mixing,
    "one-to-one": _one_to_one,
    "upsample": _upsample,
}
