"""CUBA neurons in floating point: as other simulators compute them, until they are quantized."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from pumice.errors import InputError
from pumice.fixedpoint.formats import DECAY_ONE
from pumice.nn.checks import check_samples
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.neurons.cuba import CubaNeuron
from pumice.nn.neurons.slayer_state import DECAYS
from pumice.nn.surrogate import Surrogate

Decay = float | Sequence[float] | torch.Tensor


class FloatCubaNeuron(CubaNeuron):
    r"""Current-based leaky integrate-and-fire neurons in floating point.

    .. math::
        u[t] &= (1 - \alpha_u) \, u[t-1] + x[t] \\
        v[t] &= (1 - \alpha_v) \, v[t-1] (1 - s[t-1]) + u[t] \\
        s[t] &= H(v[t] - \vartheta)

    `CubaNeuron` holds states in 1/4096 and decays in whole 1/4096, as lava-dl does; this one rounds nothing, so that
    it fires as a neuron of snnTorch, SpikingJelly, Norse or sinabs. The gradient is that of backpropagation through
    time, with a surrogate for H and the reset taken as a constant (Neftci, Mostafa, Zenke: Surrogate gradient
    learning, IEEE Signal Processing Magazine 2019). `pumice.quantize_` rounds its decays and makes it an ordinary
    deployed `CubaNeuron`; weights in front of it are rounded then, and not before.

    Args:
        threshold: :math:`\vartheta`, above 0.
        current_decay: :math:`\alpha_u`, 0 to 1, one or one per channel; 1 keeps nothing from step to step.
        voltage_decay: :math:`\alpha_v`, likewise.
        fires_at_threshold: Whether H(0) is 1 (SpikingJelly, sinabs) or 0 (snnTorch, Norse, and the chip).
        learns_decays: Whether both decays are trained; quantized, they are fixed.
        surrogate: A `pumice.nn.surrogate` or its name; an arc tangent if not given.
        gradient: Through what it goes once the neuron is quantized; see `CubaNeuron`.

    Shape:
        (batch, channel, ..., time) -> the same, 0 or 1.

    Raises:
        InputError: The threshold or a decay is out of range.

    Example:
        >>> neuron = FloatCubaNeuron(threshold=1.0, current_decay=1.0, voltage_decay=0.1)
        >>> neuron(torch.tensor([[[0.5, 0.5, 0.5, 0.5]]])).tolist()
        [[[0.0, 0.0, 1.0, 0.0]]]
    """

    def __init__(
        self,
        threshold: float,
        current_decay: Decay,
        voltage_decay: Decay,
        *,
        fires_at_threshold: bool = False,
        learns_decays: bool = False,
        surrogate: str | Surrogate | None = None,
        gradient: Any = None,
    ) -> None:
        if not 0 < threshold < math.inf:
            raise InputError(f"FloatCubaNeuron: threshold must be > 0, got {threshold}; scale it with the weights")
        super().__init__(
            1.0, 1.0, 1.0, surrogate="arctan" if surrogate is None else surrogate, requires_grad=learns_decays
        )
        self._threshold = float(threshold)  # lava-dl rounds it to 1/64
        self.p_scale = 1  # of 4096, no common learning rate would move a decay
        self.fires_at_threshold = fires_at_threshold
        for name, decay in (("current_decay", current_decay), ("voltage_decay", voltage_decay)):
            values = torch.as_tensor(decay).detach().reshape(-1)
            if not bool(((values >= 0) & (values <= 1)).all()):
                raise InputError(f"FloatCubaNeuron: {name} must lie in 0..1, got {values.tolist()[:5]}")
            if values.dtype != torch.float64:
                values = values.to(torch.float32)
            getattr(self, name).data = values.to(self.device)
        self.shared_param = self.current_decay.numel() == self.voltage_decay.numel() == 1
        if gradient is not None:
            self.set_gradient(gradient)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        names = [prefix + name for name in DECAYS if prefix + name in state_dict]
        if any(bool((state_dict[name] > 1).any()) for name in names):  # once they counted 1/4096, as lava-dl's
            state_dict.update({name: state_dict[name] / DECAY_ONE for name in names})
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Spikes for a current of shape (batch, ..., time); deployed, for integer synaptic sums of that shape."""
        if self.is_deployed:
            return super().forward(input)
        return slayer_order(torch.stack(self._steps(input)[2]))

    def recurring(self, input: torch.Tensor, back: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        r"""Spikes of neurons that also receive their own, one step late: x[t] + R s[t-1] for x[t], from rest.

        Args:
            input: x, (batch, channel, ..., time).
            back: R, as a linear map of such spikes; the gradient passes through it.
        """
        return slayer_order(torch.stack(self._steps(input, lambda s: time_major(back(slayer_order(s[None])))[0])[2]))

    def dynamics(self, input: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Current and voltage (before the reset) of every step."""
        if self.is_deployed:
            return super().dynamics(input)
        currents, voltages, _ = self._steps(input)
        return slayer_order(torch.stack(currents)), slayer_order(torch.stack(voltages))

    def _steps(
        self, input: torch.Tensor, back: Callable[[torch.Tensor], torch.Tensor] | None = None
    ) -> tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]:
        """Current, voltage and spikes step by step, each (batch, ..., channel)."""
        check_samples(input)
        self.settle(input)
        x = time_major(input)
        keeps_u, keeps_v = (1 - decay for decay in (self.current_decay, self.voltage_decay))
        u = v = s = torch.zeros_like(x[0])
        currents, voltages, spikes = [], [], []
        for added in x:
            u = keeps_u * u + (added if back is None else added + back(s))
            v = keeps_v * (v * (1 - s.detach())) + u
            s = _Fire.apply(v, self.threshold, self.fires_at_threshold, self.surrogate)
            currents.append(u)
            voltages.append(v)
            spikes.append(s)
        return currents, voltages, spikes


class _Fire(torch.autograd.Function):
    """Spikes of voltages, with a surrogate's derivative."""

    @staticmethod
    def forward(
        ctx: Any, v: torch.Tensor, threshold: float, at_threshold: bool, surrogate: Surrogate
    ) -> torch.Tensor:
        ctx.save_for_backward(v)
        ctx.threshold, ctx.surrogate = threshold, surrogate
        return (v >= threshold if at_threshold else v > threshold).to(v.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (v,) = ctx.saved_tensors
        return grads[0] * ctx.surrogate.derivative(v - ctx.threshold), None, None, None
