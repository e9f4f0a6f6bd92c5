"""SLAYER's CUBA neuron with a deployed mode: the chip's integers forward, SLAYER's gradient backward."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from lava.lib.dl.slayer.neuron import cuba as slayer_cuba

from pumice.errors import InputError
from pumice.fixedpoint.formats import BIAS_MANT, MIXED_WEIGHT
from pumice.nn.checks import check_deployed_alike, check_holds_integers, check_samples
from pumice.nn.layout import neuron_vector, slayer_order, time_major
from pumice.nn.neurons import carried_state, normed, slayer_loops, slayer_state
from pumice.nn.neurons.decay import rounded
from pumice.nn.neurons.folding import offset_of
from pumice.nn.neurons.gradient import Gradient, Slayer
from pumice.nn.neurons.gradients import find_gradient
from pumice.nn.neurons.integer import ChipCuba, ChipIntegrate, ChipSpike
from pumice.nn.neurons.integrate import Cuba, Firing, Integrate, Threshold
from pumice.nn.neurons.weight_grid import OnGrid
from pumice.nn.norms.tdbn import TDBN
from pumice.nn.padding import ReadsPadding
from pumice.nn.remade import become_, remade
from pumice.nn.rounding import round_even, round_integer
from pumice.nn.surrogate import Exponential, GradedExponential, Surrogate, find_surrogate

slayer_state.install()


class CubaNeuron(ReadsPadding, slayer_cuba.Neuron):
    """SLAYER's current-based leaky integrate-and-fire neuron, which can also run as it will on the chip.

    Until the network is quantized it fires as lava-dl's neuron, bit for bit, in compiled loops that run several times
    faster. Afterwards its input are integer synaptic sums, and its spikes are those of `pumice.fixedpoint.cuba_step`,
    with 24-bit wrap and clip, while the gradient stays SLAYER's (adjoint of both leaky integrators, exponential
    surrogate; Shrestha and Orchard, NeurIPS 2018): a network is fine-tuned through its rounding, with fixed decays.
    Decays that learn (`requires_grad`) have their derivative, see `rounded` in `decay`; lava-dl's has the other sign.

    Args:
        *args: Those of `lava.lib.dl.slayer.neuron.cuba.Neuron`, and
        surrogate: A `pumice.nn.surrogate` or its name, instead of SLAYER's exponential with tau_grad and scale_grad.
        gradient: Through what it goes: "slayer", "stbp", "stbp-detached", or a `pumice.nn.Gradient` of one's own.
            The spikes do not depend on it.

    Example:
        >>> neuron = CubaNeuron(threshold=1.0, current_decay=1.0, voltage_decay=0.25, surrogate="triangle")
        >>> neuron(torch.tensor([[[0.75, 0.75, 0.0]]])).tolist()
        [[[0.0, 1.0, 0.0]]]
    """

    chosen_surrogate: Surrogate | None = None
    gradient: Gradient = Slayer()
    deployed_vth_mant: torch.Tensor
    shape: torch.Size | None
    _vth_mant: int
    _offset_of_synapses: Callable[[], torch.Tensor] | None = None

    def __init__(
        self,
        *args: Any,
        surrogate: str | Surrogate | None = None,
        gradient: str | Gradient | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self._choose(surrogate, gradient)

    @classmethod
    def of(
        cls,
        neuron: slayer_cuba.Neuron,
        surrogate: str | Surrogate | None = None,
        gradient: str | Gradient | None = None,
        *,
        in_place: bool = False,
    ) -> CubaNeuron:
        """A neuron like lava-dl's, with the very same parameters and norm; one of this class is taken as it is.

        Args:
            neuron: lava-dl's, or ours.
            surrogate: See the class.
            gradient: See the class.
            in_place: Whether lava-dl's object itself becomes one of this class: others may refer to it.
        """
        if not isinstance(neuron, cls):
            stock, neuron = neuron, (become_ if in_place else remade)(neuron, cls)
            hook = getattr(neuron.norm, "pre_hook_fx", None)
            if getattr(hook, "__self__", None) is stock:
                neuron.norm.pre_hook_fx = neuron.quantize_8bit
        neuron._choose(surrogate, gradient)
        if isinstance(neuron.norm, TDBN) and neuron.norm.threshold is None:
            neuron.norm.threshold = neuron.threshold
        return neuron

    def _choose(self, surrogate: str | Surrogate | None, gradient: str | Gradient | None) -> None:
        if surrogate is not None:
            self.chosen_surrogate = find_surrogate(surrogate)
        if gradient is not None:
            self.set_gradient(gradient)

    def set_gradient(self, gradient: str | Gradient) -> None:
        """Choose through what the gradient goes.

        Raises:
            InputError: There is no such gradient, or it is not defined for these neurons.
        """
        found = find_gradient(gradient)
        found.check(self)
        self.gradient = found

    @property
    def is_deployed(self) -> bool:
        """Whether the forward pass is the chip's."""
        return "deployed_vth_mant" in self._buffers

    def deploy(self, vth_mant: int, offset_of_synapses: Callable[[], torch.Tensor] | None = None) -> None:
        """Switch to the chip's arithmetic.

        Args:
            vth_mant: Integer threshold; weights and bias are scaled by the same factor, vth_mant / threshold.
            offset_of_synapses: What the norms add to the current, where they are those of several synapses.
        """
        value = torch.tensor(float(vth_mant), dtype=torch.float64, device=self.device)
        self.register_buffer("deployed_vth_mant", value)
        self._vth_mant = vth_mant
        self._offset_of_synapses = offset_of_synapses
        self.reset_state()  # it is in other units

    @property
    def vth_mant(self) -> int:
        """Integer threshold of the deployed neuron."""
        if torch.compiler.is_compiling():  # a graph cannot read the buffer
            return self._vth_mant
        return round(self.deployed_vth_mant.item())  # an average of weights (EMA) rounds it

    @property
    def integer_scale(self) -> float:
        """Integers per unit of SLAYER's current: 64 as trained, another factor when the layer was rescaled."""
        return self.vth_mant / float(self.threshold)

    def offset(self) -> torch.Tensor:
        """What norms add to the current in every step, per channel, in SLAYER's units (0 without a norm)."""
        return offset_of(self) if self._offset_of_synapses is None else self._offset_of_synapses()

    def integer_weight(self, weight: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        """The folded weight on the chip's grid: even integers of `MIXED_WEIGHT`, with gradient.

        Args:
            weight: The synapse's weight, shape (out, ...).
            gain: What it is multiplied by first, per output channel.
        """
        gain = gain.reshape(-1, *[1] * (weight.ndim - 1))
        return round_even(weight * (gain * self.integer_scale), *MIXED_WEIGHT)

    def integer_bias(self) -> torch.Tensor:
        """The folded bias mantissa (bias exponent 6), shape (channel,) or (1,), with gradient."""
        return round_integer(self.offset() * self.integer_scale, *BIAS_MANT)

    def reset_state(self) -> None:
        """Forget the persistent state, if any."""
        self.current_state = torch.zeros(1, device=self.device)
        self.voltage_state = torch.zeros(1, device=self.device)

    def quantize_8bit(self, weight: torch.Tensor, descale: bool = False) -> torch.Tensor:
        """SLAYER's weight on the chip's grid: even multiples of 1 / w_scale, of 8 bits; times w_scale if descaled."""
        quantized: torch.Tensor = OnGrid.apply(weight, 2 / self.w_scale)
        return quantized * self.w_scale if descale else quantized

    @property
    def surrogate(self) -> Surrogate:
        """What stands for the spike's derivative; SLAYER's exponential unless another was chosen."""
        if self.chosen_surrogate is not None:
            return self.chosen_surrogate
        tau, scale = self.tau_rho * slayer_cuba.TAU_RHO_MULT, self.scale_rho * slayer_cuba.SCALE_RHO_MULT
        return GradedExponential(tau, scale) if self.graded_spike else Exponential(tau, scale)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Spikes for a current of shape (batch, ..., time); deployed, for integer synaptic sums of that shape."""
        check_samples(input)
        if self.gradient.applies(self, input):
            spikes = self.gradient.spikes(self, input)
        else:
            spikes = self.spikes_by_slayer(input)
        return self.drop(spikes) if self.drop is not None else spikes

    def spikes_by_slayer(self, input: torch.Tensor) -> torch.Tensor:
        """The spikes, before any dropout, with SLAYER's gradient."""
        if self.is_deployed:
            return self._deployed_forward(input)
        if slayer_loops.are_needed(self, input):
            return self._fired(self._slayers(input)[1])
        if normed.applies(self, input):
            return normed.spikes(self, input, "ignored")
        current, voltage, spikes = self._fused(input, wants_current=self.persistent_state)
        carried_state.keep(self, current, voltage, spikes)
        return spikes

    def dynamics(self, input: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Current (behind the norm) and voltage (before the reset) of every step, as SLAYER's method gives them."""
        check_samples(input)
        if slayer_loops.are_needed(self, input):
            return self._slayers(input)
        current, voltage, _ = self._fused(input, wants_current=True)
        carried_state.keep(self, current, voltage)
        return current, voltage

    def spike(self, voltage: torch.Tensor) -> torch.Tensor:
        """Spikes of given voltages, as SLAYER's method gives them."""
        spikes = self._fired(voltage)
        return self.drop(spikes) if self.drop is not None else spikes

    def _fired(self, voltage: torch.Tensor) -> torch.Tensor:
        spikes: torch.Tensor = Threshold.apply(voltage, self.firing())
        if self.persistent_state:
            self.voltage_state = self.voltage_state * (spikes[..., -1] <= 0)
        return spikes

    def firing(self) -> Firing:
        """What decides whether a voltage fires, and what stands for its derivative."""
        return Firing(self.s_scale, self.threshold + self.threshold_eps, self.graded_spike, self.surrogate)

    def _fused(self, input: torch.Tensor, wants_current: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Current (empty if not wanted), voltage and spikes in SLAYER's shape."""
        self.settle(input)
        x, steps = time_major(input), input.shape[-1]
        decays: list[torch.Tensor | None] = [rounded(self.current_decay), rounded(self.voltage_decay)]
        names = ("current_state", "voltage_state")
        states: list[torch.Tensor | None] = [carried_state.start(self, name, x) for name in names]
        if self.norm is not None:
            current = slayer_order(
                Integrate.apply(x.view(steps, -1), decays[0], states[0], self.s_scale).view(x.shape)
            )
            current = self.normed(current)
            x = time_major(current)
            decays[0] = states[0] = None  # x is the current now
        wanted = wants_current and self.norm is None
        u, v, s = Cuba.apply(x.view(steps, -1), *decays, *states, self.firing(), wanted)
        voltage, spikes = slayer_order(v.view(x.shape)), slayer_order(s.view(x.shape))
        if self.norm is not None:
            return current, voltage, spikes
        return slayer_order(u.view(x.shape)) if wants_current else u, voltage, spikes

    def normed(self, current: torch.Tensor) -> torch.Tensor:
        """SLAYER's norms take views, for which its order in memory is needed."""
        found: torch.Tensor = self.norm(current if isinstance(self.norm, TDBN) else current.contiguous())
        return found

    def _slayers(self, input: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Current and voltage by SLAYER's loops, in any dtype."""
        self.settle(input)
        starts = [carried_state.start(self, name, time_major(input)) for name in ("current_state", "voltage_state")]
        current = slayer_loops.integrate(input, self.current_decay, starts[0], self.s_scale, debug=self.debug)
        if self.norm is not None:
            current = self.normed(current)
        threshold = self.threshold + self.threshold_eps
        voltage = slayer_loops.integrate(
            current, self.voltage_decay, starts[1], self.s_scale, threshold, debug=self.debug
        )
        carried_state.keep(self, current, voltage)
        return current, voltage

    def settle(self, input: torch.Tensor) -> None:
        """The first input fixes the neurons' shape and draws individual decays."""
        if self.shape is None:
            if input.ndim < 3:
                raise InputError(f"CubaNeuron takes (batch, ..., time), got input of shape {tuple(input.shape)}")
            slayer_state.draw_decays(self, input.shape[1])
            self.shape = input.shape[1:-1]
            self.num_neurons = math.prod(self.shape)
        elif input.shape[1:-1] != self.shape:
            raise InputError(f"CubaNeuron has neurons {tuple(self.shape)}, got input of shape {tuple(input.shape)}")
        if self.requires_grad:
            self.clamp()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if prefix + "current_decay" in state_dict:  # a part of a network may leave out this neuron
            check_deployed_alike(saved=prefix + "deployed_vth_mant" in state_dict, own=self.is_deployed)
        super()._load_from_state_dict(state_dict, prefix, *args)
        if self.is_deployed:
            self._vth_mant = self.vth_mant

    def _deployed_forward(self, input: torch.Tensor) -> torch.Tensor:
        check_holds_integers(input)
        self.shape = input.shape[1:-1]
        if self.chip_is_fused(input):
            return self._deployed_fused(input)
        u, v = self.deployed_states(input)
        spikes: torch.Tensor = ChipSpike.apply(v, float(self.vth_mant), self.integer_scale, self.surrogate)
        carried_state.keep(self, u, v, spikes)
        return spikes

    def chip_is_fused(self, z: torch.Tensor) -> bool:
        """Whether the compiled loops of the deployed mode were written for this input."""
        return z.dtype == torch.float32 and z.device.type == self.device.type == "cpu" and z.ndim >= 3

    def _deployed_fused(self, z: torch.Tensor) -> torch.Tensor:
        """What `deployed_states` and `ChipSpike` give, in compiled loops; remembers the states, if asked to."""
        x = time_major(z)
        numbers = [self.integer_bias(), *slayer_state.decays_q12(self)]
        for per_channel in numbers:
            if len(per_channel) not in {1, z.shape[1]}:
                raise InputError(f"CubaNeuron has {len(per_channel)} channels, got input of shape {tuple(z.shape)}")
        states: Any = map(neuron_vector, carried_state.start_integers(self, z))
        constants = float(self.vth_mant), self.integer_scale, self.surrogate
        spikes: torch.Tensor
        spikes, *states = ChipCuba.apply(x.view(len(x), -1), *numbers, *states, *constants)
        carried_state.keep_integers(self, states, x)
        return slayer_order(spikes.view(x.shape))

    def deployed_states(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return u and v of every step in units of 2^6 (so that they are on the scale of weights and threshold).

        Step by step in torch: the definition, and the way on other devices.
        """
        bias = self.integer_bias().reshape(-1, *[1] * (z.ndim - 2))
        # float64: a sum beyond +-2^18 leaves u with more than the 24 bits that float32 holds.
        dtype, z = z.dtype, z.to(torch.float64)
        decay_u, decay_v = (decay.view(-1, *[1] * (z.ndim - 3)) for decay in slayer_state.decays_q12(self))
        start_u, start_v = carried_state.start_integers(self, z)
        u = ChipIntegrate.apply(z, decay_u, start_u, None)
        v = ChipIntegrate.apply(u + bias, decay_v, start_v, float(self.vth_mant))
        return u, v.to(dtype)

    @property
    def cx_current_decay(self) -> Any:
        """The chip's decay of the current, in 1/4096: a number, or an array with one per channel."""
        return _plain(slayer_state.decays_q12(self)[0])

    @property
    def cx_voltage_decay(self) -> Any:
        """The chip's decay of the voltage, in 1/4096: a number, or an array with one per channel."""
        return _plain(slayer_state.decays_q12(self)[1])


def _plain(decay_q12: torch.Tensor) -> Any:
    values = decay_q12.numpy(force=True).astype(int)
    return values if len(values) > 1 else values[0]
