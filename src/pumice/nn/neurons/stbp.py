"""Spatio-temporal backpropagation: the gradient that knows of the reset, for neurons whose current has no memory."""

from __future__ import annotations

from typing import Any

import torch
from lava.lib.dl.slayer.utils.quantize import quantize

from pumice.errors import InputError
from pumice.fixedpoint.formats import DECAY_ONE
from pumice.nn.kernels import operators
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.neurons.cuba import CubaNeuron
from pumice.nn.neurons.integrate import Cuba, Integrate, derivative_at
from pumice.nn.neurons.slayer_state import decays_q12
from pumice.nn.surrogate import Surrogate

GRADIENTS = ("stbp", "stbp-detached", "slayer")


class STBPNeuron(CubaNeuron):
    r"""A leaky integrate-and-fire neuron that fires bit for bit as `CubaNeuron`, with the gradient of STBP.

    .. math::
        v[t] &= \tau \, v[t-1] (1 - s[t-1]) + x[t], \qquad s[t] = H(v[t] - V_{th}) \\
        \frac{dL}{dv[t]} &= h(v[t]) \Big( \frac{\partial L}{\partial s[t]} - \tau v[t] \frac{dL}{dv[t+1]} \Big)
            + \tau (1 - s[t]) \frac{dL}{dv[t+1]}

    with :math:`\tau = 1 - \mathrm{voltage\_decay}` and the surrogate h. SLAYER's gradient leaves out both traces of
    the reset, :math:`1 - s[t]` and the term with :math:`v[t]`; "detached" leaves out the latter. A deployed neuron
    is fine-tuned by the same equations.

    Wu, Deng, Li, Zhu, Shi: Spatio-temporal backpropagation, Frontiers in Neuroscience 2018; Zheng et al., AAAI 2021.

    Args: those of `CubaNeuron`, with `current_decay` 1.

    Shape:
        (batch, channel, ..., time) -> the same, spikes 0 or 1.

    Raises:
        InputError: The current has a memory.

    Example:
        >>> neuron = STBPNeuron(threshold=0.5, current_decay=1.0, voltage_decay=0.75, surrogate="rectangular")
        >>> x = torch.tensor([[[0.25, 0.75]]], requires_grad=True)
        >>> neuron(x)[..., 1].sum().backward()
        >>> x.grad.tolist()
        [[[0.1875, 1.0]]]
    """

    detaches_reset: bool = False

    @classmethod
    def adopt(cls, neuron: Any, surrogate: str | Surrogate | None = None) -> STBPNeuron:
        """Turn another CUBA neuron object into this class, in place; its parameters stay the same objects."""
        plain = neuron.shared_param and not neuron.requires_grad and not neuron.graded_spike
        if not plain or float(decays_q12(neuron)[0]) != DECAY_ONE:
            raise InputError(
                'the gradient "stbp" is that of a neuron whose current has no memory: it needs current_decay=1, '
                'fixed decays shared by all channels, and no graded spikes; or use the gradient "slayer"'
            )
        adopted = super().adopt(neuron, surrogate)
        assert isinstance(adopted, cls)
        return adopted

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Spikes for a current, or, deployed, for integer synaptic sums."""
        if not torch.is_grad_enabled() or self.persistent_state or input.dtype != torch.float32:
            return super().forward(input)
        if self.is_deployed:
            self.shape = input.shape[1:-1]
            with torch.no_grad():
                voltage, spikes = self._chip_voltage(input)
            current = input + self.integer_bias().reshape(-1, *[1] * (input.ndim - 2))
            threshold, scale = float(self.vth_mant), self.integer_scale
        else:
            self._settle(input)
            current = input if self.norm is None else self._normed(self._on_grid(input))
            with torch.no_grad():
                voltage, spikes = self._voltage(current)
            threshold, scale = self.threshold + self.threshold_eps, 1.0
        tau = self._tau()
        spikes = _Fire.apply(current, voltage, spikes, tau, threshold, scale, self.surrogate, self.detaches_reset)
        return self.drop(spikes) if self.drop is not None else spikes

    def _tau(self) -> torch.Tensor:
        """What a step leaves of the voltage: one number, in float64."""
        return 1 - quantize(self.voltage_decay.detach()).to(torch.float64) / DECAY_ONE

    def _voltage(self, current: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """SLAYER's voltages, before the reset, and spikes, for a current behind the norm."""
        x = time_major(current)
        decay, rest = quantize(self.voltage_decay), x.new_zeros(x[0].numel())
        _, voltage, spikes = Cuba.apply(x.view(len(x), -1), None, decay, None, rest, self._firing(), False)
        return slayer_order(voltage.view(x.shape)), slayer_order(spikes.view(x.shape))

    def _chip_voltage(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Voltages of integer sums, before the reset and over 2^6, and spikes: those of `_deployed_states`."""
        if not self._chip_is_fused(z):
            voltage = self._deployed_states(z)[1]
            return voltage, (voltage > self.vth_mant).to(voltage.dtype) + (voltage - voltage)
        x = time_major(z)
        sums = x.view(len(x), -1)
        voltage, spikes = torch.empty_like(sums), torch.empty_like(sums)
        bias = self.integer_bias().double().expand(z.shape[1]).contiguous()
        tau = self._tau()
        rest_u, rest_v = torch.zeros(2, sums.shape[1], dtype=torch.float64)
        operators.deployed_forward(
            sums, bias, torch.zeros_like(tau), tau, rest_u, rest_v, float(self.vth_mant), voltage, spikes
        )
        return slayer_order(voltage.view(x.shape)), slayer_order(spikes.view(x.shape))

    def _on_grid(self, input: torch.Tensor) -> torch.Tensor:
        """SLAYER rounds the current to its grid before the norm."""
        x = time_major(input)
        state = x.new_zeros(x[0].numel())
        rounded = Integrate.apply(x.view(len(x), -1), quantize(self.current_decay), state, self.s_scale)
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
        ctx.save_for_backward(voltage, tau)
        ctx.constants = threshold, scale, surrogate, detaches_reset
        return spikes.view_as(spikes)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradient of the current, from the last step to the first."""
        voltage, tau = ctx.saved_tensors
        threshold, scale, surrogate, detaches_reset = ctx.constants
        v, g = time_major(voltage), time_major(grads[0])
        out = derivative_at(v, threshold, surrogate, scale)
        if not v.is_cuda:
            operators.stbp_backward(g, v, tau, threshold, detaches_reset, out)
            return slayer_order(out), *[None] * 7
        later, tau = torch.zeros_like(g[0]), tau.to(v)
        for t in range(len(v) - 1, -1, -1):
            of_spike = g[t] if detaches_reset else g[t] - tau * v[t] * later
            later = of_spike * out[t] + tau * later * (v[t] <= threshold)
            out[t] = later
        return slayer_order(out), *[None] * 7


def set_gradient(model: torch.nn.Module, gradient: str) -> torch.nn.Module:
    """Choose how every CUBA neuron of a network sends gradients through its reset; the spikes stay what they are.

    Args:
        model: Made of `pumice.nn` blocks; changed in place.
        gradient: "stbp" (through the reset), "stbp-detached" (the reset is a constant), or "slayer" (no reset).

    Returns:
        The same model.

    Raises:
        InputError: There is no such gradient, or a neuron's current has a memory.

    Example:
        >>> from pumice.nn.blocks.layers import Dense
        >>> layer = Dense({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}, 3, 2)
        >>> type(set_gradient(layer, "stbp").neuron).__name__
        'STBPNeuron'
    """
    if gradient not in GRADIENTS:
        raise InputError(f"unknown gradient {gradient!r}; there are: {', '.join(GRADIENTS)}")
    for neuron in model.modules():
        if not isinstance(neuron, CubaNeuron):
            continue
        if gradient == "slayer":
            neuron.__class__ = CubaNeuron
        else:
            STBPNeuron.adopt(neuron).detaches_reset = gradient == "stbp-detached"
    return model
