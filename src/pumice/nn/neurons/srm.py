"""The spike response model of SLAYER's paper: a float reference, which the chip's neuron is not."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from pumice.nn.checks import check_samples
from pumice.nn.surrogate import Exponential, Surrogate, find_surrogate


def alpha_kernel(tau: float, steps: int, *, peak: float = 1.0, sampling_time: float = 1.0) -> torch.Tensor:
    r"""An alpha function on a grid of steps.

    .. math:: k(t) = p \, \frac{t}{\tau} \, e^{1 - t / \tau}, \qquad t \ge 0

    Args:
        tau: Time constant, where the peak is, in the unit of `sampling_time`.
        steps: Length of the kernel.
        peak: p.
        sampling_time: Length of a step.

    Example:
        >>> [round(k, 6) for k in alpha_kernel(2.0, 4).tolist()]
        [0.0, 0.824361, 1.0, 0.909796]
    """
    t = torch.arange(steps, dtype=torch.float64) * (sampling_time / tau)
    return peak * t * torch.exp(1 - t)


class SRMNeuron(torch.nn.Module):
    r"""Spike response neurons, as published.

    .. math::
        \epsilon(t) &= \frac{t}{\tau_s} e^{1 - t / \tau_s} \\
        \nu(t) &= -2 \vartheta \, \frac{t}{\tau_r} e^{1 - t / \tau_r} \\
        u(t) &= (\epsilon * z)(t) + (\nu * s)(t), \qquad s(t) = [\, u(t) \ge \vartheta \,]

    for weighted spikes z = W s_in: the filter is linear, so it may stand before or behind the weights. Backward, the
    refractory response is ignored, the spike's derivative is the surrogate

    .. math:: \rho(t) = \frac{1}{\vartheta} e^{-|u(t) - \vartheta| / \vartheta}

    and an error at t is credited to earlier inputs by correlation with the kernel.

    Shrestha and Orchard: SLAYER: Spike Layer Error Reassignment in Time, NeurIPS 2018. No chip computes alpha
    kernels, so it cannot be lowered: train `CubaNeuron`, which behaves alike with equal decays.

    Args:
        threshold: theta.
        tau_s: Time constant of the synaptic response, in the unit of `sampling_time`.
        tau_r: Time constant of the refractory response.
        sampling_time: Length of a step.
        surrogate: Instead of the paper's, or its name.

    Shape:
        (batch, ..., time) -> the same, spikes 0 or 1.

    Example:
        >>> neuron = SRMNeuron(threshold=1.0, tau_s=2.0, tau_r=1.0)
        >>> neuron(0.7 * torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])).tolist()
        [[[0.0, 0.0, 1.0, 0.0]]]
    """

    def __init__(
        self,
        threshold: float = 10.0,
        tau_s: float = 10.0,
        tau_r: float = 1.0,
        *,
        sampling_time: float = 1.0,
        surrogate: str | Surrogate | None = None,
    ) -> None:
        super().__init__()
        self.threshold, self.tau_s, self.tau_r, self.sampling_time = threshold, tau_s, tau_r, sampling_time
        paper = Exponential(tau=threshold, scale=2.0)
        self.surrogate = paper if surrogate is None else find_surrogate(surrogate)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Spikes for weighted spikes."""
        return self.spike(self.psp(z))

    def psp(self, x: torch.Tensor) -> torch.Tensor:
        """Postsynaptic potential: causal convolution with epsilon; its gradient is the correlation."""
        check_samples(x)
        steps = x.shape[-1]
        kernel = alpha_kernel(self.tau_s, steps, sampling_time=self.sampling_time).to(x) * self.sampling_time
        padded = F.pad(x.reshape(-1, 1, steps), (steps - 1, 0))
        return F.conv1d(padded, kernel.flip(0).view(1, 1, -1)).view(x.shape)

    def membrane(self, u: torch.Tensor) -> torch.Tensor:
        """U with the refractory responses of the spikes that it fires; no gradient."""
        u = u.detach().clone()
        refractory = alpha_kernel(
            self.tau_r, u.shape[-1], peak=-2 * self.threshold, sampling_time=self.sampling_time
        ).to(u)
        for t in range(u.shape[-1]):
            fires = (u[..., t : t + 1] >= self.threshold).to(u)
            u[..., t:] += fires * refractory[: u.shape[-1] - t]
        return u

    def spike(self, u: torch.Tensor) -> torch.Tensor:
        """Spikes for postsynaptic potentials summed over the synapses."""
        spikes: torch.Tensor = _Spike.apply(u, self.membrane(u), self.threshold, self.surrogate)
        return spikes


class _Spike(torch.autograd.Function):
    """Where the membrane is at or above the threshold; the gradient goes to u alone."""

    @staticmethod
    def forward(
        ctx: Any, _u: torch.Tensor, membrane: torch.Tensor, threshold: float, surrogate: Surrogate
    ) -> torch.Tensor:
        ctx.save_for_backward(membrane)
        ctx.constants = threshold, surrogate
        return (membrane >= threshold).to(membrane) + (membrane - membrane)  # NaN stays NaN

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (membrane,) = ctx.saved_tensors
        threshold, surrogate = ctx.constants
        return grads[0] * surrogate.derivative(membrane - threshold), None, None, None
