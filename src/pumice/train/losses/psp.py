"""The post-synaptic potential's kernel, with which spike trains are compared."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from pumice.errors import InputError


def check_tau(tau: float) -> None:
    """Refuse a time constant of which no kernel is made.

    Raises:
        InputError: tau is not positive, or not finite.
    """
    if not 0 < tau < math.inf:
        raise InputError(f"tau must be > 0 steps, and finite, got {tau}")


def alpha_kernel(tau: float, steps: int, like: torch.Tensor) -> torch.Tensor:
    r"""SLAYER's kernel, with its peak of 1 at t = tau.

    .. math:: \varepsilon(t) = \frac{t}{\tau} \exp\left(1 - \frac{t}{\tau}\right), \quad t = 0 .. T - 1

    Shrestha and Orchard, NeurIPS 2018.

    Args:
        tau: Time constant in steps, > 0.
        steps: T, steps.
        like: Gives type and device.

    Raises:
        InputError: tau is not positive, or not finite.

    Example:
        >>> [round(x, 6) for x in alpha_kernel(2.0, 6, torch.zeros(1, dtype=torch.float64)).tolist()]
        [0.0, 0.824361, 1.0, 0.909796, 0.735759, 0.557825]
    """
    check_tau(tau)
    t = torch.arange(steps, dtype=like.dtype, device=like.device) / tau
    return t * torch.exp(1 - t)


def convolve(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    r"""Causal convolution in time, :math:`y(t) = \sum_{j \ge 0} k(j) x(t - j)`; the shape stays.

    Args:
        x: Shape (..., time).
        kernel: Shape (time,).

    Example:
        >>> convolve(torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([2.0, 1.0, 5.0])).tolist()
        [[0.0, 2.0, 1.0]]
    """
    flat = functional.pad(x.reshape(-1, 1, x.shape[-1]), (len(kernel) - 1, 0))
    return functional.conv1d(flat, kernel.flip(0)[None, None]).reshape(x.shape)


def correlate(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    r"""The adjoint of `convolve`, :math:`y(t) = \sum_{j \ge 0} k(j) x(t + j)`.

    Example:
        >>> correlate(torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([2.0, 1.0, 5.0])).tolist()
        [[1.0, 2.0, 0.0]]
    """
    return convolve(x.flip(-1), kernel).flip(-1)
