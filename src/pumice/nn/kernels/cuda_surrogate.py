"""Surrogates and the adjoint of STBP in Triton: one pass over voltages, whatever the surrogate.

Tested for equality under Triton's interpreter, see `pumice.nn.kernels.cuda`.
"""

# mypy: disable-error-code="import-untyped, untyped-decorator, no-untyped-def"
# ruff: noqa: PLR0917
from __future__ import annotations

import torch
import triton
import triton.language as tl

BLOCK = 256
NO_KIND = ""


@triton.jit
def _derivative(x, kind: tl.constexpr, a, b):
    """f'(x) of `pumice.nn.surrogate`, by its kernel's name and two numbers."""
    if kind == "rectangular":
        y = tl.where(tl.abs(x) < a / 2, 1 / a, 0.0)
    elif kind == "triangle":
        y = tl.maximum(1 - tl.abs(x) / a, 0.0) / a
    elif kind == "arctan":
        y = (a / 2) / (1 + (b * x) * (b * x))
    elif kind == "fast_sigmoid":
        y = (a / 2) / ((1 + a * tl.abs(x)) * (1 + a * tl.abs(x)))
    elif kind == "dspike":
        tanh = 2 / (1 + tl.exp(-2 * a * x)) - 1
        y = tl.where(tl.abs(x) <= 1, (1 - tanh * tanh) * b, 0.0)
    elif kind == "exponential":
        y = tl.exp(tl.abs(x) * (-1 / a)) * b
    elif kind == "graded_exponential":
        y = tl.exp(tl.minimum(x, 0.0) / a) * b
    else:
        tl.static_assert(False, "unknown surrogate")
    return y


@triton.jit
def _surrogate_backward(g_s, v, threshold, scale, a, b, g, n, kind: tl.constexpr, block: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = i < n
    x = (tl.load(v + i, inside, 0.0) - threshold) / scale
    h = _derivative(x, kind, a, b) / scale
    tl.store(g + i, tl.load(g_s + i, inside, 0.0).to(tl.float32) * h, inside)


@triton.jit
def _stbp_backward(
    g_s, v, tau, threshold, scale, a, b, g, steps, n, kind: tl.constexpr, detached: tl.constexpr, block: tl.constexpr
):
    i = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = i < n
    kept = tl.load(tau).to(tl.float32)
    later = tl.full((block,), 0, tl.float32)
    for back in range(steps):
        at = (steps - 1 - back) * n + i
        voltage = tl.load(v + at, inside, 0.0)
        of_spike = tl.load(g_s + at, inside, 0.0).to(tl.float32)
        if not detached:
            of_spike -= kept * voltage * later
        if kind == "":
            h = tl.load(g + at, inside, 0.0)
        else:
            h = _derivative((voltage - threshold) / scale, kind, a, b) / scale
        later = of_spike * h + tl.where(voltage <= threshold, kept * later, 0.0)
        tl.store(g + at, later, inside)


def _grid(n: int) -> tuple[int]:
    return (triton.cdiv(n, BLOCK),)


def surrogate_backward(
    g_s: torch.Tensor,
    v: torch.Tensor,
    threshold: float,
    scale: float,
    kind: str,
    a: float,
    b: float,
    g: torch.Tensor,
) -> None:
    """Write g = g_s f'((v - threshold) / scale) / scale; tensors contiguous, of any shape."""
    n = v.numel()
    _surrogate_backward[_grid(n)](g_s, v, threshold, scale, a, b, g, n, kind=kind, block=BLOCK)


def stbp_backward(
    g_s: torch.Tensor, v: torch.Tensor, tau: torch.Tensor, threshold: float, detached: bool, g: torch.Tensor
) -> None:
    """See `pumice.nn.kernels.stbp.lif_backward`; tensors contiguous, (time, ...)."""
    stbp_backward_of(g_s, v, tau, threshold, 1.0, NO_KIND, 1.0, 1.0, detached, g)


def stbp_backward_of(
    g_s: torch.Tensor,
    v: torch.Tensor,
    tau: torch.Tensor,
    threshold: float,
    scale: float,
    kind: str,
    a: float,
    b: float,
    detached: bool,
    g: torch.Tensor,
) -> None:
    """As `stbp_backward`, of a surrogate by its kernel: g is only written."""
    steps, n = len(v), v[0].numel()
    flags = {"kind": kind, "detached": detached, "block": BLOCK}
    _stbp_backward[_grid(n)](g_s, v, tau, threshold, scale, a, b, g, steps, n, **flags)
