"""The fused CUBA neuron as autograd functions over time-major tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from pumice.fixedpoint.formats import DECAY_ONE
from pumice.nn.kernels import operators
from pumice.nn.surrogate import Surrogate

SLAB = 1 << 16  # numbers that stay in the cache while a surrogate is evaluated
LOSES_MARGIN = 64.0  # a threshold of which float32 does not keep a hundredth of an integer, 1/64


@dataclass(frozen=True)
class Firing:
    """How voltages become spikes.

    Attributes:
        scale: Integers per unit of current and voltage.
        threshold: In units; a neuron fires at or above it (SLAYER adds a hundredth of an integer, so that a voltage
            equal to the nominal threshold does not fire).
        graded: Whether a spike carries the voltage instead of 1.
        surrogate: What stands for the spike's derivative.
    """

    scale: float
    threshold: float
    graded: bool
    surrogate: Surrogate

    @property
    def resets_at(self) -> float:
        """The integer voltage from which on it is reset; SLAYER does not reset at a threshold of 0 or less."""
        integer = self.threshold * self.scale
        return integer if integer > 0 else float("inf")

    @property
    def below(self) -> float:
        """A number between the nominal threshold and the next voltage that fires, in float32, too."""
        lost = self.threshold >= LOSES_MARGIN  # what SLAYER adds; a voltage equal to the threshold fires then
        return self.threshold * (1 - 2.0**-23) if lost else self.threshold


class Integrate(torch.autograd.Function):
    r"""A leaky integrator in SLAYER's integers.

    .. math:: y[t] = \mathrm{trunc}((1 - \alpha) y[t-1]) + \mathrm{trunc}(x[t])

    Args of `apply`: x (time, neuron) float32; the decay, 0 to 4096, per channel or one; y before the first step, per
    neuron; integers per unit.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, decay: torch.Tensor, state: torch.Tensor, scale: float) -> torch.Tensor:
        """As the class says."""
        y = torch.empty_like(x)
        operators.integrate_forward(x, kept_integer(decay), state, scale, y)
        ctx.save_for_backward(decay, y)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the arguments."""
        decay, y = ctx.saved_tensors
        g = grads[0].clone(memory_format=torch.contiguous_format)
        return g, _adjoint(g, decay, y, ctx.needs_input_grad[1]), None, None


class Cuba(torch.autograd.Function):
    r"""Current, voltage and spikes of CUBA neurons in SLAYER's integers.

    .. math::
        u[t] &= \mathrm{trunc}((1 - \alpha_u) u[t-1]) + \mathrm{trunc}(x[t]) \\
        v[t] &= \mathrm{trunc}((1 - \alpha_v) v[t-1] (1 - s[t-1])) + u[t] \\
        s[t] &= v[t] \ge \vartheta

    Backward both filters' adjoints without reset and rounding, and a surrogate for the spike (Shrestha and Orchard:
    SLAYER, NeurIPS 2018; lava-dl's variant).

    Args of `apply`: x (time, neuron) float32; decays of current and voltage, 0 to 4096, per channel or one; states
    before the first step, per neuron; `Firing`; whether the current is wanted. Without decay and state of the current
    (None), x is the current itself. The spikes are of the given type, or of that of x.

    Returns:
        Current (empty if not wanted), voltage before the reset, and spikes.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any,
        x: torch.Tensor,
        decay_u: torch.Tensor | None,
        decay_v: torch.Tensor,
        state_u: torch.Tensor | None,
        state_v: torch.Tensor,
        firing: Firing,
        wants_current: bool,
        type_of_spikes: torch.dtype | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As the class says."""
        u = torch.empty_like(x) if wants_current or ctx.needs_input_grad[1] else x.new_empty(0, 0)
        v, s = torch.empty_like(x), torch.empty_like(x, dtype=type_of_spikes)
        none = decay_v.new_empty(0, dtype=torch.int64)
        operators.cuba_forward(
            x,
            none if decay_u is None else kept_integer(decay_u),
            kept_integer(decay_v),
            none if state_u is None else state_u,
            state_v,
            firing.scale,
            firing.threshold,
            firing.resets_at,
            firing.graded,
            u,
            v,
            s,
        )
        ctx.firing = firing
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(decay_u, decay_v, u, v)
        return u, v, s

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the arguments."""
        decay_u, decay_v, u, v = ctx.saved_tensors
        g_u, g_v, g_s = grads
        if not u.numel():
            g_u = None  # torch.compile makes zeros of what does not exist
        threshold, surrogate = ctx.firing.threshold, ctx.firing.surrogate
        g = torch.zeros_like(v) if g_s is None else through_spike(g_s.contiguous(), v, threshold, surrogate)
        if g_v is not None:
            g += g_v
        _, learns_u, learns_v, *_ = ctx.needs_input_grad
        if decay_u is not None and g_u is None and not learns_u and not learns_v:
            operators.cuba_backward(g, kept(decay_u), kept(decay_v))
            return g, *[None] * 7
        g_decay_v = _adjoint(g, decay_v, v, learns_v)
        if g_u is not None:
            g += g_u
        g_decay_u = None if decay_u is None else _adjoint(g, decay_u, u, learns_u)
        return g, g_decay_u, g_decay_v, *[None] * 5


class Threshold(torch.autograd.Function):
    """Spikes of given voltages: 1, or the voltage itself if graded, at or above the threshold."""

    @staticmethod
    def forward(ctx: Any, v: torch.Tensor, firing: Firing) -> torch.Tensor:
        """As the class says."""
        ctx.firing = firing
        ctx.save_for_backward(v)
        fires = (v >= firing.threshold).to(v.dtype)
        return fires * v if firing.graded else fires + (v - v)  # NaN stays NaN

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the arguments."""
        (v,) = ctx.saved_tensors
        return grads[0] * ctx.firing.surrogate.derivative(v - ctx.firing.threshold), None


def kept_integer(decay: torch.Tensor) -> torch.Tensor:
    """What a step leaves, in 1/4096: whole numbers."""
    return DECAY_ONE - decay.detach().to(torch.int64)


def kept(decay: torch.Tensor) -> torch.Tensor:
    """What a step leaves, 0 to 1."""
    return 1 - decay.detach() / DECAY_ONE


def _adjoint(g: torch.Tensor, decay: torch.Tensor, y: torch.Tensor, learns: bool) -> torch.Tensor | None:
    """Turn the gradient of y into that of the integrator's input, in place; return the decay's if it learns."""
    sums = torch.zeros(g.shape[1] if learns else 0, dtype=torch.float64, device=g.device)
    operators.integrate_backward(g, kept(decay), y if learns else g.new_empty(0, 0), sums)
    return sums.view(-1, len(decay)).sum(0).to(decay.dtype) if learns else None


def through_spike(
    g_s: torch.Tensor, v: torch.Tensor, threshold: float, surrogate: Surrogate, scale: float = 1.0
) -> torch.Tensor:
    """Spike gradient times surrogate, for voltages and a threshold in units of 1 / scale of the surrogate's."""
    if v.dtype == torch.float32 and (kernel := surrogate.compiled()) is not None:
        g = torch.empty_like(v)
        operators.surrogate_backward(g_s, v, threshold, scale, *kernel, g)
        return g
    return derivative_at(v, threshold, surrogate, scale, g_s)


def derivative_at(
    v: torch.Tensor, threshold: float, surrogate: Surrogate, scale: float = 1.0, factor: torch.Tensor | None = None
) -> torch.Tensor:
    """The surrogate at given voltages, times a factor if there is one; as `through_spike`, for any surrogate."""
    h = torch.empty_like(v)
    voltages = v.view(-1).split(SLAB)
    factors = [None] * len(voltages) if factor is None else factor.view(-1).split(SLAB)
    pieces = zip(h.view(-1).split(SLAB), factors, voltages, strict=True)
    for out, by, voltage in pieces if not v.is_cuda else [(h, factor, v)]:
        distance = voltage - threshold
        derivative = surrogate.derivative(distance if scale == 1 else distance.div_(scale))
        if by is None:
            out.copy_(derivative)
        else:
            torch.mul(derivative, by, out=out)
        if scale != 1:
            out.div_(scale)
    return h
