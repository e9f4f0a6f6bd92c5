"""The neuron's loops in Triton, with the integer arithmetic of `pumice.nn.kernels.cuba`.

One program takes a block of neurons through all steps. Tested for equality under Triton's interpreter
(`TRITON_INTERPRET=1`); its speed on a GPU was not measured.
"""

# mypy: disable-error-code="import-untyped, untyped-decorator, no-untyped-def"
# ruff: noqa: PLR0917
from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from pumice.nn.kernels.cuda_credit import credit
from pumice.nn.kernels.cuda_norm import normalize_backward, normalize_forward
from pumice.nn.kernels.cuda_surrogate import stbp_backward, stbp_backward_of, surrogate_backward

__all__ = [
    "credit", "cuba_backward", "cuba_forward", "integrate_backward", "integrate_forward", "normalize_backward",
    "normalize_forward", "stbp_backward", "stbp_backward_of", "surrogate_backward",
]  # fmt: skip

BLOCK = 256
LARGEST = tl.constexpr(2.0**63)


@triton.jit
def _leak(state, keep):
    product = state * keep
    return (product + ((product >> 63) & 4095)) >> 12


@triton.jit
def _integer(x):
    """As in `kernels.cuba`."""
    return tl.where(tl.abs(x) < LARGEST, x, 0).to(tl.int64)


@triton.jit
def _lost(x, lost):
    """As in `kernels.cuba`."""
    return tl.where(tl.abs(x) < LARGEST, lost, float("nan"))


@triton.jit
def _integrate_forward(x, keep, state, scale, y, steps, n, channels, block: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = i < n
    k = tl.load(keep + i % channels)
    before = tl.load(state + i, inside, 0.0) * scale
    integer, lost = _integer(before), _lost(before, tl.full((block,), 0, tl.float32))
    unit = tl.full((block,), scale, tl.float32)
    for t in range(steps):
        value = tl.load(x + t * n + i, inside, 0.0) * scale
        integer, lost = _leak(integer, k) + _integer(value), _lost(value, lost)
        tl.store(y + t * n + i, tl.div_rn(integer.to(tl.float32), unit) + lost, inside)


@triton.jit
def _cuba_forward(
    x,
    keep_u,
    keep_v,
    state_u,
    state_v,
    scale,
    threshold,
    resets_at,
    u,
    v,
    s,
    steps,
    n,
    channels_u,
    channels_v,
    graded: tl.constexpr,
    filters: tl.constexpr,
    wants_u: tl.constexpr,
    block: tl.constexpr,
):
    i = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = i < n
    unit = tl.full((block,), scale, tl.float32)
    k_v = tl.load(keep_v + i % channels_v)
    before = tl.load(state_v + i, inside, 0.0) * scale
    n_v, lost = _integer(before), _lost(before, tl.full((block,), 0, tl.float32))
    k_u, n_u = k_v, n_v
    if filters:
        k_u = tl.load(keep_u + i % channels_u)
        before = tl.load(state_u + i, inside, 0.0) * scale
        n_u, lost = _integer(before), _lost(before, lost)
    for t in range(steps):
        at = t * n + i
        value = tl.load(x + at, inside, 0.0) * scale
        arriving, lost = _integer(value), _lost(value, lost)
        if filters:
            n_u = _leak(n_u, k_u) + arriving
            current = tl.div_rn(n_u.to(tl.float32), unit)
            arriving = _integer(current * scale)
            if wants_u:
                tl.store(u + at, current + lost, inside)
        n_v = _leak(n_v, k_v) + arriving
        voltage = tl.div_rn(n_v.to(tl.float32), unit) + lost
        spike = (voltage >= threshold).to(tl.float32) + lost
        tl.store(v + at, voltage, inside)
        tl.store(s + at, spike * voltage if graded else spike, inside)
        n_v = tl.where(n_v.to(tl.float32) >= resets_at, 0, n_v)


@triton.jit
def _integrate_backward(g, keep, y, g_decay, steps, n, channels, learns: tl.constexpr, block: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = i < n
    k = tl.load(keep + i % channels)
    later = tl.load(g + (steps - 1) * n + i, inside, 0.0)
    total = tl.full((block,), 0, tl.float64)
    for back in range(1, steps):
        at = (steps - 1 - back) * n + i
        if learns:
            total += later.to(tl.float64) * tl.load(y + at, inside, 0.0)
        later = k * later + tl.load(g + at, inside, 0.0)
        tl.store(g + at, later, inside)
    if learns:
        tl.store(g_decay + i, total, inside)


def _grid(n: int) -> tuple[int]:
    return (triton.cdiv(n, BLOCK),)


def integrate_forward(
    x: torch.Tensor, keep: torch.Tensor, state: torch.Tensor, scale: float, y: torch.Tensor
) -> None:
    """See `pumice.nn.kernels.cuba.integrate_forward`; all tensors as there, x and y (time, neuron)."""
    steps, n = x.shape
    _integrate_forward[_grid(n)](x, keep, state, scale, y, steps, n, len(keep), block=BLOCK)


def cuba_forward(
    x: torch.Tensor,
    keep_u: torch.Tensor,
    keep_v: torch.Tensor,
    state_u: torch.Tensor,
    state_v: torch.Tensor,
    scale: float,
    threshold: float,
    resets_at: float,
    graded: bool,
    u: torch.Tensor,
    v: torch.Tensor,
    s: torch.Tensor,
) -> None:
    """See `pumice.nn.kernels.cuba.cuba_forward`."""
    steps, n = x.shape
    sizes = steps, n, len(keep_u), len(keep_v)
    flags: dict[str, Any] = {"graded": graded, "filters": len(keep_u) > 0, "wants_u": u.numel() > 0, "block": BLOCK}
    _cuba_forward[_grid(n)](
        x, keep_u, keep_v, state_u, state_v, scale, threshold, resets_at, u, v, s, *sizes, **flags
    )


def integrate_backward(g: torch.Tensor, keep: torch.Tensor, y: torch.Tensor, g_decay: torch.Tensor) -> None:
    """See `pumice.nn.kernels.cuba.integrate_backward`."""
    steps, n = g.shape
    _integrate_backward[_grid(n)](g, keep, y, g_decay, steps, n, len(keep), learns=y.numel() > 0, block=BLOCK)


def cuba_backward(g: torch.Tensor, keep_u: torch.Tensor, keep_v: torch.Tensor) -> None:
    """Both adjoint filters: see `pumice.nn.kernels.cuba.cuba_backward`."""
    for keep in (keep_v, keep_u):
        integrate_backward(g, keep, g.new_empty(0), g.new_empty(0))
