"""Batch normalisation of channels that lie last in memory, in Triton: sums of rows, and affine maps of them.

Input may be float32, bfloat16 or float16; sums run in float32 over a tile of rows and in float64 over tiles, in an
order that does not change. Tested for equality under Triton's interpreter, see `pumice.nn.kernels.cuda`.
"""

# mypy: disable-error-code="import-untyped, untyped-decorator, no-untyped-def"
# ruff: noqa: PLR0917
from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

ROWS = 32
"""Rows of a tile."""
CHANNELS = 128
"""Channels of a tile, at most."""
PROGRAMS = 1024
"""Programs that share the rows of a sum, about."""
PARTS = 64
"""Partial sums that are added up at a time."""


@triton.jit
def _plus(a, b):
    return a + b


@triton.jit
def _sums(
    x, g, shift, found, n, channels, rows_each, products: tl.constexpr, rows: tl.constexpr, width: tl.constexpr
):
    """Sums of g and g (x - shift), or of x - shift and its square, over `rows_each` rows; shift is per channel."""
    part = tl.program_id(0).to(tl.int64)
    k = tl.program_id(1) * width + tl.arange(0, width)
    is_channel = k < channels
    near = tl.load(shift + k, is_channel, 0.0).to(tl.float32)
    first, second = tl.full((rows, width), 0, tl.float32), tl.full((rows, width), 0, tl.float32)
    for start in range(0, rows_each, rows):
        row = part * rows_each + start + tl.arange(0, rows)
        at = row[:, None] * channels + k[None, :]
        inside = (row < n)[:, None] & is_channel[None, :]
        difference = tl.load(x + at, inside, 0.0).to(tl.float32) - near[None, :]
        difference = tl.where(inside, difference, 0.0)
        if products:
            gradient = tl.load(g + at, inside, 0.0).to(tl.float32)
            first += gradient
            second += gradient * difference
        else:
            first += difference
            second += difference * difference
    at = 2 * part * channels + k
    tl.store(found + at, tl.reduce(first.to(tl.float64), 0, _plus), is_channel)
    tl.store(found + at + channels, tl.reduce(second.to(tl.float64), 0, _plus), is_channel)


@triton.jit
def _added_up(found, row, k, is_channel, channels, n_parts, parts: tl.constexpr, width: tl.constexpr):
    """One row, the first or the second, of the sums over all parts."""
    total = tl.full((parts, width), 0, tl.float64)
    for start in range(0, n_parts, parts):
        part = start + tl.arange(0, parts)
        inside = (part < n_parts)[:, None] & is_channel[None, :]
        total += tl.load(found + (2 * part[:, None] + row) * channels + k[None, :], inside, 0.0)
    return tl.reduce(total, 0, _plus)


@triton.jit
def _statistics(
    found,
    shift,
    gain,
    offset,
    stats,
    n,
    freedom,
    eps,
    channels,
    n_parts,
    unbiased: tl.constexpr,
    parts: tl.constexpr,
    width: tl.constexpr,
):
    """Per channel mean, 1 / deviation, total gain, total offset, variance with n - 1."""
    k = tl.program_id(0) * width + tl.arange(0, width)
    inside = k < channels
    first = _added_up(found, 0, k, inside, channels, n_parts, parts, width)
    second = _added_up(found, 1, k, inside, channels, n_parts, parts, width)
    mean = first / n + tl.load(shift + k, inside, 0.0).to(tl.float64)
    var = (second - first * first / n) / n
    with_n_minus_1 = var * n / freedom
    under_root = var + eps
    if unbiased:
        under_root = with_n_minus_1 + eps
    # NaN where the variance is infinite: a gain of 0 would hide it.
    inverse = 1 / (tl.sqrt(under_root) + (under_root - under_root))
    total = tl.load(gain + k, inside, 0.0).to(tl.float64) * inverse
    tl.store(stats + k, mean, inside)
    tl.store(stats + channels + k, inverse, inside)
    tl.store(stats + 2 * channels + k, total, inside)
    tl.store(stats + 3 * channels + k, tl.load(offset + k, inside, 0.0).to(tl.float64) - total * mean, inside)
    tl.store(stats + 4 * channels + k, with_n_minus_1, inside)


@triton.jit
def _scale(x, stats, y, n, channels, rows: tl.constexpr, width: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * rows + tl.arange(0, rows)
    k = tl.program_id(1) * width + tl.arange(0, width)
    is_channel = k < channels
    at = row[:, None] * channels + k[None, :]
    inside = (row < n)[:, None] & is_channel[None, :]
    by = tl.load(stats + 2 * channels + k, is_channel, 0.0).to(tl.float32)
    plus = tl.load(stats + 3 * channels + k, is_channel, 0.0).to(tl.float32)
    value = tl.load(x + at, inside, 0.0).to(tl.float32)
    tl.store(y + at, value * by[None, :] + plus[None, :], inside)


@triton.jit
def _adjoint_factors(
    found, stats, grads, factors, n, freedom, channels, n_parts, parts: tl.constexpr, width: tl.constexpr
):
    """Gradients of gain and shift; per channel what is taken off, what the distance counts, and the gain."""
    k = tl.program_id(0) * width + tl.arange(0, width)
    inside = k < channels
    total = _added_up(found, 0, k, inside, channels, n_parts, parts, width)
    product = _added_up(found, 1, k, inside, channels, n_parts, parts, width)
    inverse = tl.load(stats + channels + k, inside, 0.0)
    tl.store(grads + k, product * inverse, inside)
    tl.store(grads + channels + k, total, inside)
    tl.store(factors + k, total / n, inside)
    tl.store(factors + channels + k, product * inverse * inverse / freedom, inside)


@triton.jit
def _adjoint(x, g, stats, factors, out, n, channels, rows: tl.constexpr, width: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * rows + tl.arange(0, rows)
    k = tl.program_id(1) * width + tl.arange(0, width)
    is_channel = k < channels
    at = row[:, None] * channels + k[None, :]
    inside = (row < n)[:, None] & is_channel[None, :]
    centre = tl.load(stats + k, is_channel, 0.0).to(tl.float32)
    by = tl.load(stats + 2 * channels + k, is_channel, 0.0).to(tl.float32)
    minus = tl.load(factors + k, is_channel, 0.0)
    times = tl.load(factors + channels + k, is_channel, 0.0)
    difference = tl.load(x + at, inside, 0.0).to(tl.float32) - centre[None, :]
    gradient = tl.load(g + at, inside, 0.0).to(tl.float32)
    tl.store(out + at, (gradient - minus[None, :] - difference * times[None, :]) * by[None, :], inside)


def normalize_forward(
    x: torch.Tensor,
    gain: torch.Tensor,
    shift: torch.Tensor,
    eps: float,
    unbiased: bool,
    y: torch.Tensor,
    stats: torch.Tensor,
) -> None:
    """See `pumice.nn.kernels.cpu.normalize_forward`."""
    n, channels, width, grid = _sizes(x)
    found, n_parts = _add_up(x, x, x, products=False)
    numbers = n, max(n - 1, 1), eps, channels, n_parts
    few = min(width, 32)
    flags: dict[str, Any] = {"unbiased": unbiased, "parts": PARTS, "width": few}
    _statistics[triton.cdiv(channels, few),](found, x, gain, shift, stats, *numbers, **flags)
    _scale[grid](x, stats, y, n, channels, rows=ROWS, width=width)


def normalize_backward(
    x: torch.Tensor, g: torch.Tensor, stats: torch.Tensor, unbiased: bool, out: torch.Tensor, grads: torch.Tensor
) -> None:
    """See `pumice.nn.kernels.cpu.normalize_backward`."""
    n, channels, width, grid = _sizes(x)
    found, n_parts = _add_up(x, g, stats, products=True)
    factors = torch.empty(2, channels, dtype=torch.float32, device=x.device)
    few, freedom = min(width, 32), max(n - 1, 1) if unbiased else n
    sizes = n, freedom, channels, n_parts
    _adjoint_factors[triton.cdiv(channels, few),](found, stats, grads, factors, *sizes, parts=PARTS, width=few)
    _adjoint[grid](x, g, stats, factors, out, n, channels, rows=ROWS, width=width)


def _add_up(x: torch.Tensor, g: torch.Tensor, shift: torch.Tensor, *, products: bool) -> tuple[torch.Tensor, int]:
    """Partial sums, (part, 2, channel) in float64, and how many parts."""
    n, channels, width, _ = _sizes(x)
    blocks = triton.cdiv(channels, width)
    rows_each = ROWS * max(1, triton.cdiv(n * blocks, PROGRAMS * ROWS))
    n_parts = triton.cdiv(n, rows_each)
    found = torch.empty(n_parts, 2, channels, dtype=torch.float64, device=x.device)
    flags: dict[str, Any] = {"products": products, "rows": ROWS, "width": width}
    _sums[n_parts, blocks](x, g, shift, found, n, channels, rows_each, **flags)
    return found, n_parts


def _sizes(x: torch.Tensor) -> tuple[int, int, int, tuple[int, int]]:
    """Rows, channels, channels of a tile, and the grid of an affine map."""
    channels = x.shape[-1]
    n, width = x.numel() // channels, min(CHANNELS, triton.next_power_of_2(channels))
    return n, channels, width, (triton.cdiv(n, ROWS), triton.cdiv(channels, width))
