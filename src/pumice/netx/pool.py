"""Pooling and its reverse as lava-dl trains them, as convolutions of each channel with itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pumice.netx.fields import MAX_FIELD_VALUES, Int64Array
from pumice.netx.layers import Layer


def as_convolution(layer: Layer, source: tuple[int, ...]) -> Layer | str:
    """The convolution that does what this pooling layer was trained to do, or why there is none.

    SLAYER appends (size % kernel) rows of zeros where the kernel does not divide the size, and then slides the
    kernel down all channels at once, laid end to end: only where windows never straddle two channels is that
    a pooling.

    Args:
        layer: Its kernels have shape (1, kernel_x, kernel_y, 1).
        source: Shape of what it pools, (x, y, channel).
    """
    assert layer.weight is not None
    assert layer.geometry is not None
    kernel, dilation = layer.weight.shape[1:3], layer.geometry["dilation"]
    stride, padding = layer.geometry["stride"], layer.geometry["padding"]
    appended = [size % k for size, k in zip(source, kernel, strict=False)]
    extent = (kernel[1] - 1) * dilation[1] + 1
    if padding[1] or extent > stride[1] or (source[1] + appended[1]) % stride[1]:
        return (
            f"its windows straddle channels as SLAYER computes them (height {source[1]}, kernel {kernel[1]}, stride "
            f"{stride[1]}, padding {padding[1]})"
        )
    if any(n % d for n, d in zip(appended, dilation, strict=True)):
        return f"the zeros that SLAYER appends, {tuple(appended)}, are no multiple of the dilation {dilation}"
    if 4 * layer.weight.size * source[2] > MAX_FIELD_VALUES:
        return f"a kernel of {kernel} for each of {source[2]} channels is too large"
    # Zeros at the far side alone: as many at both sides, and as many idle taps at the near side of the kernel.
    idle = [n // d for n, d in zip(appended, dilation, strict=True)]

    def grouped(weight: Int64Array) -> Int64Array:
        wide = np.pad(weight, ((0, 0), (idle[0], 0), (idle[1], 0), (0, 0)))
        return np.repeat(wide, source[2], axis=0)

    return replace(
        layer,
        kind="conv",
        weight=grouped(layer.weight),
        weight_imag=None if layer.weight_imag is None else grouped(layer.weight_imag),
        geometry={
            "stride": stride,
            "padding": tuple(p + n for p, n in zip(padding, appended, strict=True)),
            "dilation": dilation,
            "groups": source[2],
        },
    )


def as_transposed_convolution(layer: Layer, source: tuple[int, ...]) -> Layer | str:
    """The transposed convolution that an unpooling layer was trained as, or why there is none.

    SLAYER lays all channels end to end; only a kernel as large as its stride stays within its channel.

    Args:
        layer: Its kernels have shape (1, kernel_x, kernel_y, 1).
        source: Shape of what it enlarges, (x, y, channel).
    """
    assert layer.weight is not None
    assert layer.geometry is not None
    kernel, geometry = layer.weight.shape[1:3], layer.geometry
    if geometry["stride"][1] != kernel[1] or geometry["padding"][1] or geometry["dilation"][1] != 1:
        return (
            f"its windows straddle channels as SLAYER computes them (kernel {kernel[1]}, stride "
            f"{geometry['stride'][1]}, padding {geometry['padding'][1]}, dilation {geometry['dilation'][1]})"
        )
    if layer.weight.size * source[2] > MAX_FIELD_VALUES:
        return f"a kernel of {kernel} for each of {source[2]} channels is too large"
    return replace(
        layer,
        kind="convT",
        weight=np.repeat(layer.weight, source[2], axis=0),
        weight_imag=None if layer.weight_imag is None else np.repeat(layer.weight_imag, source[2], axis=0),
        geometry={**geometry, "groups": source[2]},
    )
