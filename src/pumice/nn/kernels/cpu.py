"""The neuron's loops on CPU tensors: numba, on as many threads as torch."""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pumice.nn.kernels import changes as change_loop
from pumice.nn.kernels import credit as credit_loop
from pumice.nn.kernels import cuba, deployed, narrow, stbp, whole
from pumice.nn.kernels import delay as delay_loop
from pumice.nn.kernels import quantize as grid
from pumice.nn.kernels import surrogate as surrogates
from pumice.nn.kernels.cpu_norm import normalize_backward, normalize_forward, normed_backward, normed_forward
from pumice.nn.kernels.threads import parallel_for
from pumice.nn.kernels.widths import GRAIN, in_narrowest

__all__ = [
    "any_step", "are_whole", "changes", "credit", "cuba_backward", "cuba_forward", "delay_backward", "delay_forward",
    "deployed_backward", "deployed_forward", "integrate_backward", "integrate_forward", "normalize_backward",
    "normalize_forward", "normed_backward", "normed_forward", "quantise", "stbp_backward", "stbp_backward_of",
    "surrogate_backward",
]  # fmt: skip


def _unless_empty(x: torch.Tensor) -> Any:
    """Its array; None, which loops are compiled without, for a tensor that stands for one that there is not."""
    return x.numpy() if x.numel() else None


def integrate_forward(
    x: torch.Tensor, keep: torch.Tensor, state: torch.Tensor, scale: float, y: torch.Tensor
) -> None:
    """See `cuba.integrate_forward`; all tensors as there, x and y (time, neuron)."""
    arrays = x.numpy(), keep.numpy(), state.numpy(), np.float32(scale), y.numpy()
    in_narrowest(narrow.integrate_forward, cuba.integrate_forward, x.shape[1], scale, *arrays)


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
    current = _unless_empty(keep_u), keep_v.numpy(), _unless_empty(state_u)
    inputs = x.numpy(), *current, state_v.numpy(), None, None
    outs = _unless_empty(u), v.numpy(), s.numpy()
    in_narrowest(narrow.cuba_forward, cuba.cuba_forward, x.shape[1], scale, *inputs, *numbers, *outs)


def integrate_backward(g: torch.Tensor, keep: torch.Tensor, y: torch.Tensor, g_decay: torch.Tensor) -> None:
    """See `cuba.integrate_backward`."""
    of_decay = (y.numpy(), g_decay.numpy()) if y.numel() else (None, None)
    parallel_for(cuba.integrate_backward, g.shape[1], g.numpy(), keep.numpy(), *of_decay, grain=GRAIN)


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
    """See `surrogate.surrogate_backward`; tensors contiguous, of any shape."""
    numbers = np.float32(threshold), np.float32(scale), surrogates.of_kernel(kind, a, b)
    arrays = g_s.view(-1).numpy(), v.view(-1).numpy(), *numbers, g.view(-1).numpy()
    parallel_for(surrogates.surrogate_backward, g.numel(), *arrays, grain=GRAIN)


def stbp_backward(
    g_s: torch.Tensor, v: torch.Tensor, tau: torch.Tensor, threshold: float, detached: bool, g: torch.Tensor
) -> None:
    """See `stbp.lif_backward`, of a surrogate that is given in g; tensors contiguous, (time, ...)."""
    stbp_backward_of(g_s, v, tau, threshold, 1.0, surrogates.GIVEN, 1.0, 1.0, detached, g)


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
    """See `stbp.lif_backward`; tensors contiguous, (time, ...), and one tau."""
    steps, keep = len(g), tau.float().view(-1).numpy()
    numbers = np.float32(threshold), np.float32(scale), surrogates.of_kernel(kind, a, b)
    g_s_, v_, g_ = (tensor.view(steps, -1).numpy() for tensor in (g_s, v, g))
    reset = stbp.DETACHED if detached else stbp.FOLLOWED
    parallel_for(stbp.lif_backward, g_.shape[1], g_s_, v_, keep, *numbers, reset, g_, grain=GRAIN)


def delay_forward(x: torch.Tensor, floor: torch.Tensor, y: torch.Tensor, words: torch.Tensor) -> None:
    """See `delay.delay_forward`; where a delay, a whole number in float32, is NaN, so is y."""
    arrays = x.numpy(), _whole(floor), y.numpy(), words.numpy().view(np.uint32)
    parallel_for(delay_loop.delay_forward, x.shape[1], *arrays, grain=GRAIN)
    _lose(floor, y)


def delay_backward(
    g: torch.Tensor,
    y: torch.Tensor,
    words: torch.Tensor,
    floor: torch.Tensor,
    g_x: torch.Tensor,
    g_steps: torch.Tensor,
) -> None:
    """See `delay.delay_backward`, and `delay_forward`."""
    arrays = g.numpy(), y.numpy(), words.numpy().view(np.uint32), _whole(floor), g_x.numpy(), g_steps.numpy()
    parallel_for(delay_loop.delay_backward, g.shape[1], *arrays, grain=GRAIN)
    _lose(floor, g_x, g_steps)


def _whole(floor: torch.Tensor) -> Any:
    return floor.nan_to_num(0).to(torch.int64).numpy()


def _lose(floor: torch.Tensor, *values: torch.Tensor) -> None:
    """Make NaN what belongs to a channel whose delay is; the channel runs fastest."""
    if floor.isnan().any():
        for value in values:
            value.view(-1, len(floor)).add_(floor - floor)


def quantise(weight: torch.Tensor, step: float, edge: int, quantised: torch.Tensor, passes: torch.Tensor) -> None:
    """See `quantise.quantise`; tensors contiguous, of any shape."""
    numbers, arrays = (np.float32(step), np.float32(edge)), (t.view(-1).numpy() for t in (quantised, passes))
    parallel_for(grid.quantise, weight.numel(), weight.view(-1).numpy(), *numbers, *arrays, grain=GRAIN)


def are_whole(x: torch.Tensor, low: int, high: int) -> bool:
    """Whether all values are whole numbers from `low` to `high`; float32, contiguous, of any shape."""
    found, bounds = np.zeros(1, np.int64), (np.float32(low), np.float32(high))
    parallel_for(whole.find_others, x.numel(), x.view(-1).numpy(), *bounds, found, grain=GRAIN)
    return not found[0]
