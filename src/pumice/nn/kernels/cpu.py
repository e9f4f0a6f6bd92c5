"""The neuron's loops on CPU tensors: numba, on as many threads as torch."""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

import numpy as np
import torch

from pumice.nn.kernels import cuba, deployed, stbp
from pumice.nn.kernels import quantise as grid
from pumice.nn.kernels.threads import parallel_for

GRAIN = 4 * cuba.BLOCK


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
    g_s: torch.Tensor, v: torch.Tensor, tau: float, threshold: float, detached: bool, g: torch.Tensor
) -> None:
    """See `stbp.stbp_backward`; tensors contiguous, (time, ...)."""
    steps, numbers = len(g), (np.float32(tau), np.float32(threshold), detached)
    g_s_, v_, g_ = (tensor.view(steps, -1).numpy() for tensor in (g_s, v, g))
    parallel_for(stbp.stbp_backward, g_.shape[1], g_s_, v_, *numbers, g_, grain=GRAIN)


def quantise(weight: torch.Tensor, step: float, edge: int) -> tuple[torch.Tensor, torch.Tensor]:
    """See `quantise.quantise`; the weight contiguous, of any shape."""
    found = torch.empty_like(weight), torch.empty_like(weight)
    numbers, arrays = (np.float32(step), np.float32(edge)), (t.view(-1).numpy() for t in found)
    parallel_for(grid.quantise, weight.numel(), weight.detach().view(-1).numpy(), *numbers, *arrays, grain=GRAIN)
    return found
