"""Deployed neurons that receive their own spikes: the chip's integers forward, the gradient through all steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pumice.fixedpoint.formats import DECAY_ONE, STATE_EXP
from pumice.nn.neurons.integer import clip24, wrap24, wrap_int32
from pumice.nn.surrogate import Surrogate

Linear = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class ChipRecurrent(torch.autograd.Function):
    r"""Spikes of deployed CUBA neurons whose current has a recurrent term, from rest.

    .. math::
        u[t] &= \mathrm{trunc}((1 - \alpha_u) \, u[t-1]) + 2^6 (z[t] + R \, s[t-1]) \\
        v[t] &= \mathrm{trunc}((1 - \alpha_v) \, v[t-1] (1 - s[t-1])) + u[t] + 2^6 b \\
        s[t] &= v[t] > 2^6 \vartheta

    Backward, both filters' adjoints without rounding, wrap and reset (Shrestha and Orchard: SLAYER, NeurIPS 2018),
    and through R from step to step; a surrogate stands for the derivative of the spike.

    Args of `apply`: z (batch, channel, ..., time), whole; the weight of R, whole; b (channel,) or (1,), whole; decays
    of current and voltage, 0 to 4096, (channel,) or (1,); the threshold's mantissa; integers per unit; the surrogate;
    R as a function of spikes (batch, channel, ..., time) and its weight, linear in both.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any,
        z: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        decay_u: torch.Tensor,
        decay_v: torch.Tensor,
        vth_mant: float,
        scale: float,
        surrogate: Surrogate,
        linear: Linear,
    ) -> torch.Tensor:
        """As the class says."""
        whole = weight.double()
        steps, unit = z.double().movedim(-1, 0), float(1 << STATE_EXP)
        keep_u, keep_v, drive = (
            x.double().reshape(-1, *[1] * (steps.ndim - 3))
            for x in (1 - decay_u.double() / DECAY_ONE, 1 - decay_v.double() / DECAY_ONE, bias.double() * unit)
        )
        u = v = spike = torch.zeros_like(steps[0])
        voltages, spikes = [], []
        for now in steps:
            u = wrap24(wrap_int32(torch.trunc(u * keep_u) + (now + linear(spike[..., None], whole)[..., 0]) * unit))
            v = clip24(wrap_int32(torch.trunc(v * keep_v) + u + drive))
            voltages.append(v)
            spike = (v > vth_mant * unit).double()
            v = v * (1 - spike)
            spikes.append(spike)
        sent, voltage = torch.stack(spikes), torch.stack(voltages) / unit
        ctx.save_for_backward(weight, keep_u, keep_v, voltage, sent)
        ctx.constants = vth_mant, scale, surrogate, bias.shape, linear
        return sent.movedim(0, -1).to(z.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the arguments."""
        weight, keep_u, keep_v, voltage, sent = ctx.saved_tensors
        vth_mant, scale, surrogate, shape, linear = ctx.constants
        slope = surrogate.derivative((voltage - vth_mant) / scale) / scale
        arriving = grads[0].double().movedim(-1, 0)
        adjoint = _Adjoint(linear, weight.double(), sent.movedim(0, -1)[..., :-1])
        g_u = g_v = torch.zeros_like(arriving[0])
        of_v, of_z = torch.empty_like(arriving), torch.empty_like(arriving)
        for t in range(len(arriving) - 1, -1, -1):
            g_s = arriving[t] if t == len(arriving) - 1 else arriving[t] + adjoint.of_spikes(g_u)
            g_v = g_s * slope[t] + keep_v * g_v
            g_u = g_v + keep_u * g_u
            of_v[t], of_z[t] = g_v, g_u
        g_weight = adjoint.of_weight(of_z[1:].movedim(0, -1)).to(weight.dtype)
        g_bias = of_v.transpose(1, 2).flatten(2).sum((0, 2)) if shape.numel() > 1 else of_v.sum().reshape(1)
        return of_z.movedim(0, -1).to(grads[0].dtype), g_weight, g_bias.float(), *[None] * 6


class _Adjoint:
    """The adjoints of a map that is linear in spikes and in its weight."""

    def __init__(self, linear: Linear, weight: torch.Tensor, sent: torch.Tensor) -> None:
        with torch.enable_grad():
            self._spikes = torch.zeros_like(sent[..., :1]).requires_grad_()
            self._weight = weight.detach().requires_grad_()
            self._of_spikes = linear(self._spikes, weight.detach())
            self._of_weight = linear(sent, self._weight)

    def of_spikes(self, grad: torch.Tensor) -> torch.Tensor:
        """The gradient of one step's spikes."""
        (found,) = torch.autograd.grad(self._of_spikes, self._spikes, grad[..., None], retain_graph=True)
        return found[..., 0]

    def of_weight(self, grad: torch.Tensor) -> torch.Tensor:
        """The gradient of the weight, for those of all steps."""
        (found,) = torch.autograd.grad(self._of_weight, self._weight, grad)
        return found
