"""The neuron's loops on CPU tensors: numba, on as many threads as torch."""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pumice.nn.deviation import deviation
from pumice.nn.kernels import changes as change_loop
from pumice.nn.kernels import credit as credit_loop
from pumice.nn.kernels import cuba, deployed, norm, stbp, whole
from pumice.nn.kernels import delay as delay_loop
from pumice.nn.kernels import quantize as grid
from pumice.nn.kernels.threads import parallel_for

GRAIN = 4 * cuba.BLOCK
WIDEST = 256  # numbers in a row of the norm's loops, where channels are few


def integrate_forward(
    x: torch.Tensor, keep: torch.Tensor, state: torch.Tensor, scale: float, y: torch.Tensor
) -> None:
    """See `cuba.integrate_forward`; all tensors as there, x and y (time, neuron)."""
    arrays = x.numpy(), keep.numpy(), state.numpy(), np.float32(scale), y.numpy()
    parallel_for(cuba.integrate_forward, x.shape[1], *arrays, grain=GRAIN)


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
    """See `cuba.cuba_forward`."""
    numbers = np.float32(scale), np.float32(threshold), np.float32(resets_at), graded
    inputs = x.numpy(), keep_u.numpy(), keep_v.numpy(), state_u.numpy(), state_v.numpy()
    parallel_for(cuba.cuba_forward, x.shape[1], *inputs, *numbers, u.numpy(), v.numpy(), s.numpy(), grain=GRAIN)


def integrate_backward(g: torch.Tensor, keep: torch.Tensor, y: torch.Tensor, g_decay: torch.Tensor) -> None:
    """See `cuba.integrate_backward`."""
    parallel_for(
        cuba.integrate_backward, g.shape[1], g.numpy(), keep.numpy(), y.numpy(), g_decay.numpy(), grain=GRAIN
    )


def changes(values: torch.Tensor, threshold: float, sent: torch.Tensor) -> None:
    """See `changes.changes`; values and what is sent are (time, neuron)."""
    arrays = values.numpy(), values.numpy().dtype.type(threshold), sent.numpy()
    parallel_for(change_loop.changes, values.shape[1], *arrays, grain=GRAIN)


def credit(
    s: torch.Tensor,
    g: torch.Tensor,
    z: torch.Tensor,
    keep_u: float,
    keep_v: float,
    gain: float,
    per_step: torch.Tensor,
    count: torch.Tensor,
    error: torch.Tensor,
    potential: torch.Tensor,
) -> None:
    """See `credit.credit`."""
    numbers, inputs = map(np.float32, (keep_u, keep_v, gain)), (s.numpy(), g.numpy(), z.numpy())
    found = per_step.numpy(), count.numpy(), error.numpy(), potential.numpy()
    parallel_for(credit_loop.credit, z.shape[1], *inputs, *numbers, *found, grain=GRAIN)


def any_step(x: torch.Tensor, by_step: bool, found: torch.Tensor) -> None:
    """See `credit.any_step`; tensors contiguous, the numbers of a neuron or of a step by each other."""
    bits, neurons = x.view(-1).view(torch.int32).numpy(), found.view(-1).numpy()
    of_loop = bits, x.numel() // max(len(neurons), 1), by_step, neurons
    parallel_for(credit_loop.any_step, len(neurons), *of_loop, grain=GRAIN)


def cuba_backward(g: torch.Tensor, keep_u: torch.Tensor, keep_v: torch.Tensor) -> None:
    """See `cuba.cuba_backward`."""
    parallel_for(cuba.cuba_backward, g.shape[1], g.numpy(), keep_u.numpy(), keep_v.numpy(), grain=GRAIN)


def deployed_forward(
    x: torch.Tensor,
    bias: torch.Tensor,
    keep_u: torch.Tensor,
    keep_v: torch.Tensor,
    state_u: torch.Tensor,
    state_v: torch.Tensor,
    vth_mant: float,
    v: torch.Tensor,
    s: torch.Tensor,
) -> None:
    """See `deployed.deployed_forward`."""
    inputs = x.numpy(), bias.numpy(), keep_u.numpy(), keep_v.numpy(), state_u.numpy(), state_v.numpy()
    parallel_for(deployed.deployed_forward, x.shape[1], *inputs, vth_mant, v.numpy(), s.numpy(), grain=GRAIN)


def deployed_backward(g: torch.Tensor, keep_u: torch.Tensor, keep_v: torch.Tensor, sums: torch.Tensor) -> None:
    """See `deployed.deployed_backward`."""
    arrays = g.numpy(), keep_u.numpy(), keep_v.numpy(), sums.numpy()
    parallel_for(deployed.deployed_backward, g.shape[1], *arrays, grain=GRAIN)


def exponential_backward(
    g_s: torch.Tensor, v: torch.Tensor, threshold: float, tau: float, height: float, g: torch.Tensor
) -> None:
    """See `cuba.exponential_backward`; tensors contiguous, of any shape."""
    numbers = np.float32(threshold), np.float32(tau), np.float32(height)
    arrays = g_s.view(-1).numpy(), v.view(-1).numpy(), *numbers, g.view(-1).numpy()
    parallel_for(cuba.exponential_backward, g.numel(), *arrays, grain=GRAIN)


def stbp_backward(
    g_s: torch.Tensor, v: torch.Tensor, tau: torch.Tensor, threshold: float, detached: bool, g: torch.Tensor
) -> None:
    """See `stbp.stbp_backward`; tensors contiguous, (time, ...)."""
    steps, numbers = len(g), (np.float32(tau.item()), np.float32(threshold), detached)
    g_s_, v_, g_ = (tensor.view(steps, -1).numpy() for tensor in (g_s, v, g))
    parallel_for(stbp.stbp_backward, g_.shape[1], g_s_, v_, *numbers, g_, grain=GRAIN)


def delay_forward(x: torch.Tensor, steps: torch.Tensor, lost: torch.Tensor, y: torch.Tensor) -> None:
    """See `delay.delay_forward`."""
    arrays = x.numpy(), steps.numpy(), lost.numpy(), y.numpy()
    parallel_for(delay_loop.delay_forward, x.shape[1], *arrays, grain=GRAIN)


def delay_backward(
    g: torch.Tensor,
    y: torch.Tensor,
    steps: torch.Tensor,
    lost: torch.Tensor,
    g_x: torch.Tensor,
    g_steps: torch.Tensor,
) -> None:
    """See `delay.delay_backward`."""
    arrays = g.numpy(), y.numpy(), steps.numpy(), lost.numpy(), g_x.numpy(), g_steps.numpy()
    parallel_for(delay_loop.delay_backward, g.shape[1], *arrays, grain=GRAIN)


def quantise(weight: torch.Tensor, step: float, edge: int, quantised: torch.Tensor, passes: torch.Tensor) -> None:
    """See `quantise.quantise`; tensors contiguous, of any shape."""
    numbers, arrays = (np.float32(step), np.float32(edge)), (t.view(-1).numpy() for t in (quantised, passes))
    parallel_for(grid.quantise, weight.numel(), weight.view(-1).numpy(), *numbers, *arrays, grain=GRAIN)


def are_whole(x: torch.Tensor, low: int, high: int) -> bool:
    """Whether all values are whole numbers from `low` to `high`; float32, contiguous, of any shape."""
    found, bounds = np.zeros(1, np.int64), (np.float32(low), np.float32(high))
    parallel_for(whole.find_others, x.numel(), x.view(-1).numpy(), *bounds, found, grain=GRAIN)
    return not found[0]


def normalize_forward(
    x: torch.Tensor,
    gain: torch.Tensor,
    shift: torch.Tensor,
    eps: float,
    unbiased: bool,
    y: torch.Tensor,
    stats: torch.Tensor,
) -> None:
    """Write y = gain (x - mean) / sqrt(var + eps) + shift, per channel, with statistics of the batch.

    Args:
        x: Shape (..., channel), contiguous.
        gain: Per channel.
        shift: Per channel.
        eps: Added to the variance.
        unbiased: Whether the variance is that with n - 1.
        y: Receives the result, float32.
        stats: Receives, as float64 of shape (5, channel), mean, 1 / sqrt(var + eps), gain / sqrt(var + eps), shift
            less that times the mean, and the variance with n - 1.
    """
    n, tile, flat = x.numel() // x.shape[-1], _tile(x), x.view(-1).numpy()
    near = x.view(n, -1)[0]
    first, second = _sums(norm.sum_powers, x, tile, flat, _row(near, tile))
    mean, var = first / n + near, (second - first * first / n) / n
    with_n_minus_1 = var * (n / max(n - 1, 1))
    inverse = 1 / deviation((with_n_minus_1 if unbiased else var) + eps)
    total_gain = gain * inverse
    offset = shift - total_gain * mean
    torch.stack([mean, inverse, total_gain, offset, with_n_minus_1], out=stats)
    rows = _row(total_gain, tile), _row(offset, tile)
    parallel_for(norm.scale, _rows(x, tile), flat, *rows, y.view(-1).numpy(), grain=norm.ROWS)


def normalize_backward(
    x: torch.Tensor, g: torch.Tensor, stats: torch.Tensor, unbiased: bool, out: torch.Tensor, grads: torch.Tensor
) -> None:
    """The adjoint of `normalize_forward`.

    Args:
        x: As there.
        g: Gradient of y, contiguous.
        stats: As written there.
        unbiased: As there.
        out: Receives the gradient of x.
        grads: Receives those of gain and shift, (2, channel).
    """
    n, tile = x.numel() // x.shape[-1], _tile(x)
    mean, inverse, total_gain = stats[:3]
    arrays = x.view(-1).numpy(), g.view(-1).numpy()
    total, product = _sums(norm.sum_products, x, tile, *arrays, _row(mean, tile))
    torch.stack([(product * inverse).float(), total.float()], out=grads)
    of_var = product * inverse * inverse / (max(n - 1, 1) if unbiased else n)
    rows = (_row(r, tile) for r in (mean, total_gain, total / n, of_var))
    parallel_for(norm.adjoint, _rows(x, tile), *arrays, *rows, out.view(-1).numpy(), grain=norm.ROWS)


def _tile(x: torch.Tensor) -> int:
    """How often a row holds all channels."""
    n, tile = x.numel() // x.shape[-1], 1
    while n % (2 * tile) == 0 and 2 * tile * x.shape[-1] <= WIDEST:
        tile *= 2
    return tile


def _rows(x: torch.Tensor, tile: int) -> int:
    return x.numel() // (tile * x.shape[-1])


def _row(per_channel: torch.Tensor, tile: int) -> Any:
    return per_channel.detach().float().repeat(tile).numpy()


def _sums(loop: Any, x: torch.Tensor, tile: int, *arrays: Any) -> torch.Tensor:
    """The two sums that a loop gives for every number of a row, per channel, in float64."""
    channels = x.shape[-1]
    groups = -(-_rows(x, tile) // norm.ROWS)
    found = np.empty((2, groups, tile * channels), np.float32)
    parallel_for(loop, groups, *arrays, *found)
    return torch.from_numpy(found.sum(1, dtype=np.float64)).view(2, tile, channels).sum(1)
