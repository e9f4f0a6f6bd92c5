"""Spatio-temporal backpropagation: the gradient that knows of the reset, for neurons whose current has no memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from lava.lib.dl.slayer.utils.quantize import quantize

from pumice.errors import InputError
from pumice.fixedpoint.formats import DECAY_ONE
from pumice.nn.checks import check_holds_integers
from pumice.nn.kernels import operators
from pumice.nn.kernels.widths import takes_narrow
from pumice.nn.layout import neuron_vector, slayer_order, time_major
from pumice.nn.neurons import carried_state, normed, slayer_loops
from pumice.nn.neurons.gradient import Gradient
from pumice.nn.neurons.integrate import Cuba, Integrate, Threshold, derivative_at
from pumice.nn.neurons.slayer_state import decays_q12
from pumice.nn.surrogate import Surrogate

if TYPE_CHECKING:
    from pumice.nn.neurons.cuba import CubaNeuron


@dataclass(frozen=True)
class STBP(Gradient):
    r"""The gradient of spatio-temporal backpropagation, for neurons whose current has no memory.

    .. math::
        v[t] &= \tau \, v[t-1] (1 - s[t-1]) + x[t], \qquad s[t] = H(v[t] - V_{th}) \\
        \frac{dL}{dv[t]} &= h(v[t]) \Big( \frac{\partial L}{\partial s[t]} - \tau v[t] \frac{dL}{dv[t+1]} \Big)
            + \tau (1 - s[t]) \frac{dL}{dv[t+1]}

    with :math:`\tau = 1 - \mathrm{voltage\_decay}` and the surrogate h. SLAYER's gradient leaves out both traces of
    the reset, :math:`1 - s[t]` and the term with :math:`v[t]`. A quantized neuron is fine-tuned by the same
    equations.

    Wu, Deng, Li, Zhu, Shi: Spatio-temporal backpropagation, Frontiers in Neuroscience 2018; Zheng et al., AAAI 2021.

    Args:
        detaches_reset: Leave out the term with v[t]: the reset counts as a constant.

    Raises:
        InputError: A neuron's current has a memory, its decays are not fixed and shared, or its spikes are graded.

    Example:
        >>> from pumice.nn import CubaNeuron
        >>> params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "surrogate": "rectangular"}
        >>> neuron = CubaNeuron(**params, gradient=STBP())
        >>> x = torch.tensor([[[0.25, 0.75]]], requires_grad=True)
        >>> neuron(x)[..., 1].sum().backward()
        >>> x.grad.tolist()
        [[[0.1875, 1.0]]]
    """

    name: ClassVar[str] = "stbp"
    detaches_reset: bool = False

    def check(self, neuron: CubaNeuron) -> None:
        """A current without memory, fixed decays that all channels share, no graded spikes, a reset."""
        if neuron.threshold < 0:
            raise InputError(
                f'the gradient "stbp" needs a threshold of 0 or more, got {neuron.threshold}: SLAYER resets no '
                'neuron below; or use the gradient "slayer"'
            )
        plain = neuron.shared_param and not neuron.requires_grad and not neuron.graded_spike
        if not plain or float(decays_q12(neuron)[0]) != DECAY_ONE:
            raise InputError(
                'the gradient "stbp" is that of a neuron whose current has no memory: it needs current_decay=1, '
                'fixed decays shared by all channels, and no graded spikes; or use the gradient "slayer"'
            )

    def spikes(self, neuron: CubaNeuron, input: torch.Tensor) -> torch.Tensor:
        """The neuron's spikes, with the class's gradient."""
        tau = _voltage_factor(neuron)
        if neuron.is_deployed:
            check_holds_integers(input)
            neuron.shape = input.shape[1:-1]
            with torch.no_grad():
                voltage, spikes = _chip_voltage(neuron, input, tau)
            current = input + neuron.integer_bias().reshape(-1, *[1] * (input.ndim - 2))
            threshold, scale = float(neuron.vth_mant), neuron.integer_scale
        else:
            if normed.applies(neuron, input):
                return normed.spikes(neuron, input, "detached" if self.detaches_reset else "followed")
            slowly = slayer_loops.are_needed(neuron, input)
            neuron.settle(input)
            current = input
            if neuron.norm is not None or not takes_narrow(neuron.s_scale):  # else rounding it twice changes nothing
                current = _on_grid(neuron, current, slowly)
            if neuron.norm is not None:
                current = neuron.normed(current)
            with torch.no_grad():
                voltage, spikes = _voltage(neuron, current, slowly)
            threshold, scale = neuron.firing().below, 1.0
        fired: torch.Tensor = _Fire.apply(
            current, voltage, spikes, tau, threshold, scale, neuron.surrogate, self.detaches_reset
        )
        return fired


def _voltage_factor(neuron: CubaNeuron) -> torch.Tensor:
    """What a step leaves of the voltage, tau: one number, in float64."""
    return 1 - decays_q12(neuron)[1] / DECAY_ONE


def _voltage(neuron: CubaNeuron, current: torch.Tensor, slowly: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """SLAYER's voltages, before the reset, and spikes, for a current behind the norm; by SLAYER's loops if slowly."""
    x, firing = time_major(current), neuron.firing()
    start = carried_state.start(neuron, "voltage_state", x)
    if slowly:
        voltage = slayer_loops.integrate(
            current, neuron.voltage_decay, start, neuron.s_scale, firing.threshold, debug=neuron.debug
        )
        spikes = Threshold.apply(voltage, firing)
    else:
        decay, flat = quantize(neuron.voltage_decay), x.view(len(x), -1)
        _, v, s = Cuba.apply(flat, None, decay, None, start, firing, False, _type_of_spikes(x))
        voltage, spikes = slayer_order(v.view(x.shape)), slayer_order(s.view(x.shape))
    carried_state.keep(neuron, current, voltage, spikes)
    return voltage, spikes


def _type_of_spikes(x: torch.Tensor) -> torch.dtype:
    """On CUDA that of autocast, which holds 0 and 1, and in which the next product would take them anyway."""
    takes_part = x.is_cuda and torch.is_autocast_enabled("cuda")
    return torch.get_autocast_dtype("cuda") if takes_part else x.dtype


def _chip_voltage(neuron: CubaNeuron, z: torch.Tensor, tau: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Voltages of integer sums, before the reset and over 2^6, and spikes: those of `deployed_states`."""
    if not neuron.chip_is_fused(z):
        current, voltage = neuron.deployed_states(z)
        spikes = (voltage > neuron.vth_mant).to(voltage.dtype) + (voltage - voltage)
        carried_state.keep(neuron, current, voltage, spikes)
        return voltage, spikes
    x, states = time_major(z), [*map(neuron_vector, carried_state.start_integers(neuron, z))]
    sums = x.view(len(x), -1)
    voltage, spikes = torch.empty_like(sums), torch.empty_like(sums)
    bias = neuron.integer_bias().double().expand(z.shape[1]).contiguous()
    operators.deployed_forward(
        sums, bias, torch.zeros_like(tau), tau, *states, float(neuron.vth_mant), voltage, spikes
    )
    carried_state.keep_integers(neuron, states, x)
    return slayer_order(voltage.view(x.shape)), slayer_order(spikes.view(x.shape))


def _on_grid(neuron: CubaNeuron, input: torch.Tensor, slowly: bool) -> torch.Tensor:
    """SLAYER rounds the current to its grid."""
    x = time_major(input)
    state = x.new_zeros(x[0].numel())
    if slowly:
        return slayer_loops.integrate(input, neuron.current_decay, state, neuron.s_scale, debug=neuron.debug)
    rounded = Integrate.apply(x.view(len(x), -1), quantize(neuron.current_decay), state, neuron.s_scale)
    return slayer_order(rounded.view(x.shape))


class _Fire(torch.autograd.Function):
    """Given spikes of given voltages, which are known to come from the current by the class's equations."""

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any,
        current: torch.Tensor,
        voltage: torch.Tensor,
        spikes: torch.Tensor,
        tau: torch.Tensor,
        threshold: float,
        scale: float,
        surrogate: Surrogate,
        detaches_reset: bool,
    ) -> torch.Tensor:
        """As the class says."""
        ctx.save_for_backward(voltage, tau, None if voltage.dtype == torch.float32 else spikes)
        ctx.constants = threshold, scale, surrogate, detaches_reset
        return spikes.view_as(spikes)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradient of the current, from the last step to the first."""
        voltage, tau, spikes = ctx.saved_tensors
        threshold, scale, surrogate, detaches_reset = ctx.constants
        v, g = time_major(voltage), time_major(grads[0])
        if spikes is not None:
            h, s = derivative_at(v, threshold, surrogate, scale), time_major(spikes)
            out = _by_steps(g.double(), v.double(), h.double(), s.double(), tau, detaches_reset).to(v.dtype)
        elif (kernel := surrogate.compiled()) is not None:
            out = torch.empty_like(v)
            operators.stbp_backward_of(g, v, tau, threshold, scale, *kernel, detaches_reset, out)
        else:
            out = derivative_at(v, threshold, surrogate, scale)
            operators.stbp_backward(g, v, tau, threshold, detaches_reset, out)
        return slayer_order(out), *[None] * 7


def _by_steps(  # noqa: PLR0917
    g: torch.Tensor, v: torch.Tensor, h: torch.Tensor, s: torch.Tensor, tau: torch.Tensor, detaches_reset: bool
) -> torch.Tensor:
    """The gradient of the current, as the class has it: `operators.stbp_backward`, but for any type."""
    out, later = torch.empty_like(g), torch.zeros_like(g[0])
    for t in reversed(range(len(g))):
        later = tau * later
        of_spike = g[t] if detaches_reset else g[t] - v[t] * later
        later = h[t] * of_spike + (1 - s[t]) * later
        out[t] = later
    return out
