"""The deployed CUBA neuron as autograd functions: the chip's integers forward, SLAYER's gradient backward.

`ChipIntegrate` and `ChipSpike` are the definition, step by step in torch, on any device. `ChipCuba` is the same in
compiled loops over time-major tensors. All are in units of 2^6, the scale of weights and threshold.
"""

from __future__ import annotations

from typing import Any

import torch

from pumice.fixedpoint.formats import DECAY_ONE, STATE_EXP, STATE_LIMIT
from pumice.nn.kernels import operators
from pumice.nn.neurons.integrate import through_spike
from pumice.nn.surrogate import Surrogate

INT32_SPAN = float(1 << 32)


class ChipIntegrate(torch.autograd.Function):
    """A leaky integrator in the chip's integers: without a threshold it wraps (u), with one it clips and resets (v).

    Integers are held in float64, where products up to 2^53 are exact. In and out are divided by 2^6.

    Args of `apply`: x (batch, channel, ..., time) float64; decay, 0 to 4096, broadcast to one step; y before the
    first step, in integers; the threshold's mantissa, if any.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, decay_q12: torch.Tensor, state: torch.Tensor, vth_mant: float | None
    ) -> torch.Tensor:
        """As the class says."""
        keep = 1 - decay_q12 / DECAY_ONE
        unit = 1 << STATE_EXP
        injected = x * unit
        output = torch.empty_like(x)
        for t in range(x.shape[-1]):
            state = wrap_int32(torch.trunc(state * keep) + injected[..., t])
            state = clip24(state) if vth_mant else wrap24(state)
            output[..., t] = state / unit
            if vth_mant:
                state = torch.where(state > vth_mant * unit, 0.0, state)
        ctx.save_for_backward(keep)
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the arguments: the filter's adjoint, without rounding, wrap and reset."""
        (keep,) = ctx.saved_tensors
        grad_input = grad_output.clone()
        for t in range(grad_output.shape[-1] - 2, -1, -1):
            grad_input[..., t] += keep * grad_input[..., t + 1]
        return grad_input, None, None, None


class ChipSpike(torch.autograd.Function):
    """v > vth, compared in integers; the gradient is the surrogate's in SLAYER's units.

    Args of `apply`: v; the threshold's mantissa; integers per unit; the surrogate.
    """

    @staticmethod
    def forward(ctx: Any, v: torch.Tensor, vth_mant: float, scale: float, surrogate: Surrogate) -> torch.Tensor:
        """As the class says."""
        ctx.save_for_backward(v)
        ctx.constants = vth_mant, scale, surrogate
        return (v > vth_mant).to(v.dtype) + (v - v)  # NaN stays NaN

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the arguments."""
        (v,) = ctx.saved_tensors
        vth_mant, scale, surrogate = ctx.constants
        return grad_output * surrogate.derivative((v - vth_mant) / scale) / scale, None, None, None


class ChipCuba(torch.autograd.Function):
    """Spikes of deployed neurons, every one that of the functions above.

    Args of `apply`: x (time, neuron) float32; bias (channel,) or (1,); decays of current and voltage, 0 to 4096, per
    channel or one, float64; integer states before the first step per neuron, float64; the threshold's mantissa;
    integers per unit; the surrogate. The channel runs fastest among the neurons.

    Returns:
        Spikes, and the integer states behind the last step.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any,
        x: torch.Tensor,
        bias: torch.Tensor,
        decay_u: torch.Tensor,
        decay_v: torch.Tensor,
        state_u: torch.Tensor,
        state_v: torch.Tensor,
        vth_mant: float,
        scale: float,
        surrogate: Surrogate,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As the class says."""
        state_u, state_v = state_u.clone(), state_v.clone()
        v = torch.empty_like(x) if any(ctx.needs_input_grad) else x.new_empty(0, 0)
        s = torch.empty_like(x)
        keep_u, keep_v = 1 - decay_u / DECAY_ONE, 1 - decay_v / DECAY_ONE
        operators.deployed_forward(x, bias.detach().double(), keep_u, keep_v, state_u, state_v, vth_mant, v, s)
        ctx.save_for_backward(v, keep_u, keep_v)
        ctx.constants = vth_mant, scale, surrogate, bias.shape
        ctx.mark_non_differentiable(state_u, state_v)
        return s, state_u, state_v

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the arguments."""
        v, keep_u, keep_v = ctx.saved_tensors
        vth_mant, scale, surrogate, channels = ctx.constants
        g = through_spike(grads[0].contiguous(), v, vth_mant, surrogate, scale)
        sums = g.new_empty(g.shape[1], dtype=torch.float64)
        operators.deployed_backward(g, keep_u.float(), keep_v.float(), sums)
        g_bias = sums.view(-1, *channels).sum(0).float()
        return g, g_bias, *[None] * 7


def wrap_int32(x: torch.Tensor) -> torch.Tensor:
    """Whole numbers as 32 bits hold them.

    Example:
        >>> wrap_int32(torch.tensor([2.0**31, -1.0], dtype=torch.float64)).tolist()
        [-2147483648.0, -1.0]
    """
    return x - INT32_SPAN * torch.floor((x + INT32_SPAN / 2) / INT32_SPAN)


def wrap24(x: torch.Tensor) -> torch.Tensor:
    """The chip's current: beyond 24 bits it comes back once from the other side.

    Example:
        >>> wrap24(torch.tensor([2.0**23 + 1, 5.0])).tolist()
        [-8388607.0, 5.0]
    """
    x = torch.where(x > STATE_LIMIT, x - 2 * STATE_LIMIT, x)
    return torch.where(x <= -STATE_LIMIT, x + 2 * STATE_LIMIT, x)


def clip24(x: torch.Tensor) -> torch.Tensor:
    """The chip's voltage: it stays at the edge of its 24 bits.

    Example:
        >>> clip24(torch.tensor([2.0**23 + 1, 5.0])).tolist()
        [8388607.0, 5.0]
    """
    return x.clamp(1 - STATE_LIMIT, STATE_LIMIT - 1)
