"""Deployed neurons that receive their own spikes: the chip's integers forward, the gradient through all steps."""

from __future__ import annotations

from typing import Any

import torch

from pumice.fixedpoint.formats import DECAY_ONE, STATE_EXP
from pumice.nn.neurons.integer import clip24, wrap24, wrap_int32
from pumice.nn.surrogate import Surrogate


class ChipRecurrent(torch.autograd.Function):
    r"""Spikes of deployed CUBA neurons whose current has a recurrent term, from rest.

    .. math::
        u[t] &= \mathrm{trunc}((1 - \alpha_u) \, u[t-1]) + 2^6 (z[t] + R \, s[t-1]) \\
        v[t] &= \mathrm{trunc}((1 - \alpha_v) \, v[t-1] (1 - s[t-1])) + u[t] + 2^6 b \\
        s[t] &= v[t] > 2^6 \vartheta

    Backward, both filters' adjoints without rounding, wrap and reset (Shrestha and Orchard: SLAYER, NeurIPS 2018),
    and through R from step to step; a surrogate stands for the derivative of the spike.

    Args of `apply`: z (batch, n, time), whole; R (n, n), whole; b (n,) or (1,), whole; decays of current and voltage,
    0 to 4096, (n,) or (1,); the threshold's mantissa; integers per unit; the surrogate.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any,
        z: torch.Tensor,
        matrix: torch.Tensor,
        bias: torch.Tensor,
        decay_u: torch.Tensor,
        decay_v: torch.Tensor,
        vth_mant: float,
        scale: float,
        surrogate: Surrogate,
    ) -> torch.Tensor:
        """As the class says."""
        keep_u, keep_v = 1 - decay_u.double() / DECAY_ONE, 1 - decay_v.double() / DECAY_ONE
        rows, unit = matrix.double().T, float(1 << STATE_EXP)
        steps, drive = z.double().movedim(-1, 0), bias.double() * unit
        u = v = spike = torch.zeros_like(steps[0])
        voltages, spikes = [], []
        for now in steps:
            u = wrap24(wrap_int32(torch.trunc(u * keep_u) + (now + spike @ rows) * unit))
            v = clip24(wrap_int32(torch.trunc(v * keep_v) + u + drive))
            voltages.append(v)
            spike = (v > vth_mant * unit).double()
            v = v * (1 - spike)
            spikes.append(spike)
        sent, voltage = torch.stack(spikes), torch.stack(voltages) / unit
        ctx.save_for_backward(matrix, keep_u, keep_v, voltage, sent)
        ctx.constants = vth_mant, scale, surrogate, bias.shape
        return sent.movedim(0, -1).to(z.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the arguments."""
        matrix, keep_u, keep_v, voltage, sent = ctx.saved_tensors
        vth_mant, scale, surrogate, shape = ctx.constants
        slope = surrogate.derivative((voltage - vth_mant) / scale) / scale
        arriving = grads[0].double().movedim(-1, 0)
        rows = matrix.double()
        g_u = g_v = torch.zeros_like(arriving[0])
        of_v, of_z = torch.empty_like(arriving), torch.empty_like(arriving)
        for t in range(len(arriving) - 1, -1, -1):
            g_s = arriving[t] if t == len(arriving) - 1 else arriving[t] + g_u @ rows
            g_v = g_s * slope[t] + keep_v * g_v
            g_u = g_v + keep_u * g_u
            of_v[t], of_z[t] = g_v, g_u
        g_matrix = torch.einsum("tbi,tbj->ij", of_z[1:], sent[:-1])
        g_bias = of_v.sum((0, 1)) if shape.numel() > 1 else of_v.sum().reshape(1)
        return of_z.movedim(0, -1).to(grads[0].dtype), g_matrix.to(matrix.dtype), g_bias.float(), *[None] * 5
