"""Post-synaptic potentials at a neuron's own spikes: what HM2-BP credits a presynaptic spike with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import torch

from pumice.errors import InputError
from pumice.fixedpoint.formats import DECAY_ONE
from pumice.nn.kernels import operators
from pumice.nn.neurons.slayer_state import decays_q12

TIMINGS = ("neuron", "paper")


@dataclass(frozen=True)
class Membrane:
    r"""How a membrane that never resets answers one presynaptic spike.

    .. math:: k(n) = g \sum_{i=0}^{n} \rho_m^{n-i} \rho_s^{i} \quad (n \ge 0), \qquad k(n) = 0 \quad (n < 0)

    with n the steps since the spike acts. In continuous time, with :math:`\rho = e^{-1/\tau}`,

    .. math:: \tau_s \, \frac{e^{-(n+1)/\tau_m} - e^{-(n+1)/\tau_s}}{1 - \tau_s / \tau_m}

    is the same for :math:`g = \tau_s (\rho_m - \rho_s) / (1 - \tau_s / \tau_m)`: the S-PSP of HM2-BP, n + 1 steps
    after the spike, for weights of neurons whose current is not divided by :math:`\tau_s`, as the chip's is not.

    Jin, Zhang, Li: Hybrid macro/micro level backpropagation, NeurIPS 2018.

    Attributes:
        keep_current: What a step leaves of the current, rho_s.
        keep_voltage: What a step leaves of the voltage, rho_m.
        gain: g.
        lag: Steps from a spike to the first step at which it acts.
        dead_time: Steps behind a spike in which the membrane stays at rest, T_ref.

    Example:
        >>> Membrane(0.5, 0.5).response(4)
        [1.0, 1.0, 0.75, 0.5]
    """

    keep_current: float
    keep_voltage: float
    gain: float = 1.0
    lag: int = 0
    dead_time: int = 0

    @classmethod
    def of(cls, neuron: Any, timing: str) -> Membrane:
        """That of a CUBA neuron.

        Args:
            neuron: A `CubaNeuron` with decays that all channels share.
            timing: "neuron", the chip's own decays; or "paper", HM2-BP's exponentials, with tau_s = 1 / current_decay
                and tau_m = 1 / voltage_decay.

        Raises:
            InputError: The exponentials are not defined, because tau_s is not below tau_m.
        """
        decay_current, decay_voltage = (float(decay[0]) / DECAY_ONE for decay in decays_q12(neuron))
        if timing == "neuron":
            return cls(1 - decay_current, 1 - decay_voltage)
        if not decay_current > decay_voltage:
            raise InputError(
                f'the gradient "hm2bp" with timing {timing!r} needs tau_s < tau_m, that is current_decay > '
                f"voltage_decay, got {decay_current:g} and {decay_voltage:g}; choose other decays, or timing "
                '"neuron", which takes any'
            )
        return cls.continuous(1 / decay_voltage if decay_voltage else math.inf, 1 / decay_current)

    @classmethod
    def continuous(cls, tau_m: float, tau_s: float, *, lag: int = 0, dead_time: int = 0) -> Membrane:
        """HM2-BP's exponentials.

        Args:
            tau_m: Of the voltage, steps.
            tau_s: Of the current, steps, below tau_m.
            lag: See the class; the paper's kernel, which is 0 in the step of the spike, has 1 where spikes arrive in
                the step in which they are sent.
            dead_time: See the class.

        Example:
            >>> [round(k / 8, 6) for k in Membrane.continuous(64.0, 8.0).response(3)]
            [0.116571, 0.217637, 0.305048]
        """
        keep_s, keep_m = math.exp(-1 / tau_s), math.exp(-1 / tau_m)
        return cls(keep_s, keep_m, tau_s * (keep_m - keep_s) / (1 - tau_s / tau_m), lag, dead_time)

    def response(self, steps: int) -> list[float]:
        """The potential that one spike at step 0 leaves, step by step."""
        current, voltage, found = 0.0, 0.0, []
        for t in range(steps):
            current = self.keep_current * current + (t == self.lag)
            voltage = self.keep_voltage * voltage + current
            found.append(self.gain * voltage)
        return found


@lru_cache(maxsize=64)
def _response_back(membrane: Membrane, steps: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Kept, as a CUDA graph cannot copy from a list."""
    return torch.tensor(membrane.response(steps)[::-1], dtype=dtype, device=device)


def at_last_step(current: torch.Tensor, membrane: Membrane, last: torch.Tensor | None = None) -> torch.Tensor:
    """The potential that a membrane that never resets has at the last step.

    Args:
        current: What the neurons received, (time, neuron).
        membrane: The kernel.
        last: Each neuron's last step, (neuron,); None where it is the last of all.

    Example:
        >>> at_last_step(torch.ones(3, 2), Membrane(0.0, 0.5), torch.tensor([1, 2]))  # 1, then 1.5, then 1.75
        tensor([1.5000, 1.7500])
    """
    steps = len(current)
    back = _response_back(membrane, steps, current.dtype, current.device)
    if last is None:
        return back @ current
    at = torch.arange(steps, device=current.device)[:, None] + steps - 1 - last
    return (back[at.clamp(max=steps - 1)] * (at < steps) * current).sum(0)


@dataclass(frozen=True)
class Credit:
    r"""What a layer's neurons owe to what they received.

    Attributes:
        per_step: :math:`G_i(t)`, with which the T-PSP of train j is :math:`e_{ij} = \sum_t G_i(t) s_j(t)`; (time,
            neuron).
        count: Spikes of each neuron, o.
        error: The gradient of each neuron's count: that of its spikes, their mean, or, of a silent neuron, the mean
            over all steps.
        potential: :math:`a_i = \sum_j w_{ij} e_{ij} = \sum_t G_i(t) z_i(t)`.
    """

    per_step: torch.Tensor
    count: torch.Tensor
    error: torch.Tensor
    potential: torch.Tensor


def credit(spikes: torch.Tensor, gradient: torch.Tensor, current: torch.Tensor, membrane: Membrane) -> Credit:
    r"""Sum, at each neuron's spikes, what presynaptic spikes had built up in its membrane since its last spike.

    The potential at a spike is that of a membrane that never resets, less what was left of it at the reset. With
    :math:`\hat t_f` the previous spike (and T_ref steps), the sum over a neuron's spikes f is a product over time of
    that trace with the sparse train

    .. math:: C(t) = \sum_f [t = t_f] - \sum_f \rho_m^{t_f - \hat t_f} [t = \hat t_f]

    and, both filters being linear, the product of the presynaptic spikes with :math:`G = k \star C`, C run through
    the adjoint filters: no number for a pair of neurons is ever stored.

    Args:
        spikes: (time, neuron), 0 or 1.
        gradient: Of the spikes, likewise.
        current: What the neurons received, z, likewise.
        membrane: The kernel.

    Example:
        >>> spikes = torch.tensor([[0.0], [1.0], [1.0]])
        >>> found = credit(spikes, torch.ones(3, 1), torch.ones(3, 1), Membrane(0.0, 0.5))
        >>> found.per_step.flatten().tolist(), found.potential.item()
        ([0.5, 1.0, 1.0], 2.5)
    """
    found = Credit(torch.empty_like(current), *(current.new_empty(current.shape[1]) for _ in range(3)))
    compiled = current.dtype == torch.float32 and not (current.is_cuda and find_spec("triton") is None)
    if compiled and membrane.lag == membrane.dead_time == 0:
        keep = membrane.keep_current, membrane.keep_voltage, membrane.gain
        operators.credit(spikes, gradient, current, *keep, found.per_step, found.count, found.error, found.potential)
        return found
    _credit(spikes, gradient, current, membrane, found)
    return found


def _credit(
    spikes: torch.Tensor, gradient: torch.Tensor, current: torch.Tensor, membrane: Membrane, into: Credit
) -> None:
    """The definition, step by step in torch, of any type and on any device."""
    steps, wait, keep = len(spikes), membrane.dead_time, membrane.keep_voltage
    rest = torch.zeros_like(current[0])
    to_next = later = voltage = arriving = rest  # to_next: rho_m to the power of the steps to the next spike
    factors = torch.zeros_like(current)
    for t in reversed(range(steps)):
        to_next = keep * (later + (1 - later) * to_next)
        factors[t] += spikes[t]
        if t + wait < steps:  # the reset of this spike ends `wait` steps later
            factors[t + wait] -= spikes[t] * to_next * (keep**-wait if wait else 1)
        later = spikes[t]
    for t in reversed(range(steps)):
        voltage = keep * voltage + factors[t]
        arriving = membrane.keep_current * arriving + voltage
        into.per_step[t] = membrane.gain * arriving
    if membrane.lag:
        into.per_step[: steps - membrane.lag] = into.per_step[membrane.lag :].clone()
        into.per_step[steps - membrane.lag :] = 0
    into.count.copy_(spikes.sum(0))
    mean_at_spikes = (spikes * gradient).sum(0) / into.count.clamp(min=1)
    into.error.copy_(torch.where(into.count > 0, mean_at_spikes, gradient.mean(0)))
    into.potential.copy_((into.per_step * current).sum(0))
