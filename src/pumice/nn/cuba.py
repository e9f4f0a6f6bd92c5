"""SLAYER's CUBA neuron with a deployed mode: the chip's integers forward, SLAYER's gradient backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from lava.lib.dl.slayer.neuron import cuba as slayer_cuba
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm, WgtScaleBatchNorm

from pumice.errors import LoweringError
from pumice.nn.quantise import round_even, round_integer
from pumice.nn.tdbn import TDBN

STATE_LIMIT = float(1 << 23)
INT32_SPAN = float(1 << 32)


class CubaNeuron(slayer_cuba.Neuron):
    """SLAYER's current-based leaky integrate-and-fire neuron, which can also run as it will on the chip.

    Until `deploy` is called it *is* lava-dl's neuron. Afterwards its input are integer synaptic sums, and its
    spikes are those of `pumice.fixedpoint.cuba_step`, with 24-bit wrap and clip, while the gradient stays
    SLAYER's (adjoint of both leaky integrators, exponential surrogate; Shrestha and Orchard, NeurIPS 2018), so
    that a network is fine-tuned through its own quantisation. Decays stay fixed then.

    Args: those of `lava.lib.dl.slayer.neuron.cuba.Neuron`.
    """

    deployed_vth_mant: torch.Tensor
    merged_offset: Callable[[], torch.Tensor] | None = None
    """Where the norms belong to several arms: what all of them add."""

    @classmethod
    def adopt(cls, neuron: slayer_cuba.Neuron) -> CubaNeuron:
        """Turn lava-dl's neuron object into this class, in place; its parameters stay the same objects."""
        if not isinstance(neuron, cls):
            neuron.__class__ = cls
        if isinstance(neuron.norm, TDBN) and neuron.norm.threshold is None:
            neuron.norm.threshold = neuron.threshold
        return neuron

    @property
    def is_deployed(self) -> bool:
        """Whether the forward pass is the chip's."""
        return "deployed_vth_mant" in self._buffers

    def deploy(self, vth_mant: int) -> None:
        """Switch to the chip's arithmetic.

        Args:
            vth_mant: Integer threshold; weights and bias are scaled by the same factor, vth_mant / threshold.
        """
        value = torch.tensor(float(vth_mant), dtype=torch.float64, device=self.device)
        self.register_buffer("deployed_vth_mant", value)

    @property
    def vth_mant(self) -> int:
        """Integer threshold of the deployed neuron."""
        return int(self.deployed_vth_mant.item())

    @property
    def integer_scale(self) -> float:
        """Integers per unit of SLAYER's current: 64 as trained, another factor when the layer was rescaled."""
        return self.vth_mant / float(self.threshold)

    def gain(self) -> torch.Tensor:
        """What the norm multiplies the current by, per channel (1 without a norm)."""
        norm = self.norm
        if isinstance(norm, TDBN):
            return norm.gain()
        if isinstance(norm, WgtScaleBatchNorm):
            return 1 / norm.std(norm.running_var)
        return torch.ones(1, device=self.device)

    def offset(self) -> torch.Tensor:
        """What the norm adds to the current in every step, per channel, in SLAYER's units (0 without a norm)."""
        norm = self.norm
        if self.merged_offset is not None:
            return self.merged_offset()
        if isinstance(norm, TDBN):
            return norm.offset()
        if isinstance(norm, (MeanOnlyBatchNorm, WgtScaleBatchNorm)):
            return -norm.pre_hook_fx(norm.running_mean) * self.gain()
        if norm is not None:
            raise LoweringError(f"cannot fold a norm of type {type(norm).__name__}; use TDBN or MeanOnlyBatchNorm")
        return torch.zeros(1, device=self.device)

    def integer_weight(self, weight: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        """The folded weight on the chip's grid: even integers in [-256, 254], with gradient.

        Args:
            weight: The synapse's weight, shape (out, ...).
            gain: What it is multiplied by first, per output channel.
        """
        gain = gain.reshape(-1, *[1] * (weight.ndim - 1))
        return round_even(weight * (gain * self.integer_scale), -256, 254)

    def integer_bias(self) -> torch.Tensor:
        """The folded bias mantissa (bias exponent 6), shape (channel,) or (1,), with gradient."""
        return round_integer(self.offset() * self.integer_scale, -4096, 4095)

    def reset_state(self) -> None:
        """Forget the persistent state, if any."""
        self.current_state = torch.zeros(1, device=self.device)
        self.voltage_state = torch.zeros(1, device=self.device)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Spikes for a current of shape (batch, ..., time); deployed, for integer synaptic sums of that shape."""
        if not self.is_deployed:
            return super().forward(input)
        self.shape = input.shape[1:-1]
        u, v = self._deployed_states(input)
        surrogate = (self.tau_rho * slayer_cuba.TAU_RHO_MULT, self.scale_rho * slayer_cuba.SCALE_RHO_MULT)
        spikes: torch.Tensor = _Spike.apply(v, float(self.vth_mant), self.integer_scale, surrogate)
        if self.persistent_state:
            self.current_state = u[..., -1].detach()
            self.voltage_state = (v[..., -1] * (1 - spikes[..., -1])).detach()
        return self.drop(spikes) if self.drop is not None else spikes

    def _deployed_states(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return u and v of every step in units of 2^6 (so that they are on the scale of weights and threshold)."""
        bias = self.integer_bias().reshape(-1, *[1] * (z.ndim - 2))
        # float64: a sum beyond +-2^18 leaves u with more than the 24 bits that float32 holds.
        z = z.to(torch.float64)
        u = _Integrate.apply(z, self._decay(self.cx_current_decay, z), self._state("current_state", z), None)
        v = _Integrate.apply(
            u + bias, self._decay(self.cx_voltage_decay, z), self._state("voltage_state", z), float(self.vth_mant)
        )
        return u, v.to(torch.float32)

    def _decay(self, decay_q12: Any, z: torch.Tensor) -> torch.Tensor:
        values = torch.as_tensor(np.atleast_1d(decay_q12), dtype=torch.float64, device=z.device)
        return values.reshape(-1, *[1] * (z.ndim - 3))

    def _state(self, name: str, z: torch.Tensor) -> torch.Tensor:
        state: torch.Tensor = getattr(self, name)
        if not self.persistent_state or state.shape != z.shape[:-1]:
            state = torch.zeros(z.shape[:-1], device=z.device)
        return state.to(torch.float64) * 64


class _Integrate(torch.autograd.Function):
    """A leaky integrator in the chip's integers: without a threshold it wraps (u), with one it clips and resets (v).

    Integers are held in float64, where products up to 2^53 are exact. In and out are divided by 2^6.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, decay_q12: torch.Tensor, state: torch.Tensor, vth_mant: float | None
    ) -> torch.Tensor:
        keep = 1 - decay_q12 / 4096
        injected = x * 64
        output = torch.empty_like(x)
        for t in range(x.shape[-1]):
            state = _wrap_int32(torch.trunc(state * keep) + injected[..., t])
            state = state.clamp(1 - STATE_LIMIT, STATE_LIMIT - 1) if vth_mant else _wrap24(state)
            output[..., t] = state / 64
            if vth_mant:
                state = torch.where(state > vth_mant * 64, 0.0, state)
        ctx.save_for_backward(keep)
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (keep,) = ctx.saved_tensors
        grad_input = grad_output.clone()
        for t in range(grad_output.shape[-1] - 2, -1, -1):
            grad_input[..., t] += keep * grad_input[..., t + 1]
        return grad_input, None, None, None


def _wrap_int32(x: torch.Tensor) -> torch.Tensor:
    return x - INT32_SPAN * torch.floor((x + INT32_SPAN / 2) / INT32_SPAN)


def _wrap24(x: torch.Tensor) -> torch.Tensor:
    x = torch.where(x > STATE_LIMIT, x - 2 * STATE_LIMIT, x)
    return torch.where(x <= -STATE_LIMIT, x + 2 * STATE_LIMIT, x)


class _Spike(torch.autograd.Function):
    """v > vth, compared in integers; the gradient is SLAYER's exponential surrogate in SLAYER's units."""

    @staticmethod
    def forward(
        ctx: Any, v: torch.Tensor, vth_mant: float, scale: float, surrogate: tuple[float, float]
    ) -> torch.Tensor:
        ctx.save_for_backward(v)
        ctx.constants = vth_mant, scale, *surrogate
        return (v > vth_mant).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (v,) = ctx.saved_tensors
        vth_mant, scale, tau, height = ctx.constants
        distance = (v - vth_mant).abs() / scale
        return grad_output * (height / 2 / tau / scale) * torch.exp(-distance / tau), None, None, None
