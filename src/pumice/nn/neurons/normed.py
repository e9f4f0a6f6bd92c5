"""A CUBA neuron with a batch norm on its current, as one function: a training step's few passes over memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from pumice.nn.kernels import operators
from pumice.nn.kernels.widths import takes_narrow
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.neurons.integrate import Firing, derivative_at, kept, kept_integer
from pumice.nn.norms.across_processes import is_shared
from pumice.nn.norms.tdbn import TDBN

if TYPE_CHECKING:
    from pumice.nn.neurons.cuba import CubaNeuron

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def applies(neuron: CubaNeuron, input: torch.Tensor) -> bool:
    """Whether the neuron's loops and its norm's can be one: float32 on the CPU, a batch's own statistics, no state.

    Its integers per unit must be a power of two. Nobody else may want what lies between the loops: no hook of the
    norm, no decay that learns.
    """
    norm = neuron.norm
    if type(norm) is not TDBN or not norm.training or "forward" in vars(norm) or input.ndim < 3:
        return False
    on_cpu = input.device.type == neuron.device.type == "cpu" and input.dtype == torch.float32
    own_batch = norm.own_steps is None and not (norm.synchronized and is_shared())
    unseen = not any(getattr(norm, hooks) for hooks in _HOOKS)
    fixed = not (neuron.current_decay.requires_grad or neuron.voltage_decay.requires_grad)
    at_rest = neuron.current_state.ndim == neuron.voltage_state.ndim == 1  # else a batch's, see `carried_state`
    stateless = at_rest and not (neuron.persistent_state or neuron.debug)
    fits = input.numel() > input.shape[1] and takes_narrow(neuron.s_scale)
    return on_cpu and own_batch and unseen and fixed and stateless and fits


def spikes(neuron: CubaNeuron, input: torch.Tensor, reset: str) -> torch.Tensor:
    """The neuron's spikes, where it `applies`.

    Args:
        neuron: Has a `TDBN`.
        input: Synaptic current (batch, channel, ..., time).
        reset: What the gradient knows of the reset: "ignored" (SLAYER), "detached" or "followed" (STBP).
    """
    neuron.settle(input)
    norm, x = neuron.norm, time_major(input)
    gain = norm.gain_of_batch(input)
    decays = neuron.current_decay.round(), neuron.voltage_decay.round()
    constants = neuron.firing(), norm.eps, norm.unbiased, reset
    fired, mean, var = NormedCuba.apply(x.view(len(x), -1), gain, norm.shift, *decays, *constants)
    norm.remember(mean, var)
    return slayer_order(fired.view(x.shape))


class NormedCuba(torch.autograd.Function):
    """`Integrate`, `Normalize` and `Cuba` one after the other, bit for bit.

    Args of `apply`: x (time, neuron) float32; gain and shift of the norm; decays of current and voltage, as of
    `Cuba`; `Firing`; the norm's eps and whether its variance is that with n - 1; what the gradient knows of the
    reset.

    Returns:
        Spikes, the batch's mean and its variance with n - 1.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any,
        x: torch.Tensor,
        gain: torch.Tensor,
        shift: torch.Tensor,
        decay_u: torch.Tensor,
        decay_v: torch.Tensor,
        firing: Firing,
        eps: float,
        unbiased: bool,
        reset: str,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As the class says."""
        keep_u, v, s = kept_integer(decay_u), torch.empty_like(x), torch.empty_like(x)
        is_x = not torch.compiler.is_compiling() and not keep_u.any()  # a graph does not depend on values
        y = x.new_empty(0, 0) if is_x else torch.empty_like(x)
        stats = x.new_empty(5, len(gain), dtype=torch.float64)
        operators.normed_forward(
            x,
            keep_u,
            kept_integer(decay_v),
            gain,
            shift,
            eps,
            unbiased,
            firing.scale,
            firing.threshold,
            firing.resets_at,
            firing.graded,
            y,
            stats,
            v,
            s,
        )
        ctx.constants = firing, unbiased, reset
        ctx.save_for_backward(x if is_x else y, v, stats, decay_u, decay_v)
        mean_and_var = stats[0].float(), stats[4].float()
        ctx.mark_non_differentiable(*mean_and_var)
        return s, *mean_and_var

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the arguments."""
        y, v, stats, decay_u, decay_v = ctx.saved_tensors
        firing, unbiased, reset = ctx.constants
        threshold = firing.threshold if reset == "ignored" else firing.below
        kernel = firing.surrogate.compiled()
        out = torch.empty_like(v) if kernel else derivative_at(v, threshold, firing.surrogate)
        both = y.new_empty(2, stats.shape[1])
        operators.normed_backward(
            grads[0].contiguous(),
            v,
            y,
            stats,
            unbiased,
            kept(decay_u),
            kept(decay_v),
            firing.scale,
            threshold,
            *(kernel or ("given", 1.0, 1.0)),
            reset,
            out,
            both,
        )
        return out, both[0], both[1], *[None] * 6
