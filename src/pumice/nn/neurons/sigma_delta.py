"""Sigma-delta neurons: they add up changes of values and send changes of their own value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from pumice.errors import InputError
from pumice.fixedpoint.formats import STATE_LIMIT
from pumice.nn.checks import check_deployed_alike, check_sizes
from pumice.nn.kernels import operators
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.rounding import straight_through

Activation = str | Callable[[torch.Tensor], torch.Tensor] | None
RELU = ("relu", F.relu, torch.relu)
"""Names of the activation that chips have."""


class SigmaDeltaNeuron(torch.nn.Module):
    r"""Adds up the changes that it receives, activates, and sends the change of the result once it is large enough.

    .. math::
        \sigma(t) &= \sigma(t - 1) + z(t), \qquad a(t) = f(\sigma(t) + b) \\
        s(t) &= \delta(t) \text{ if } |\delta(t)| \ge \vartheta, \text{ else } 0, \qquad
        \delta(t) = a(t) - \sum_{t' < t} s(t')

    With threshold 0 that is an artificial neuron's a(t), told by its changes. The gradient passes the threshold as if
    it were 0. Deployed, all numbers are multiples of powers of two, held in float64, and equal those of
    `pumice.fixedpoint.delta_step`.

    O'Connor, Welling: Sigma Delta Quantized Networks, ICLR 2017; lava-dl's `slayer.neuron.sigma_delta`.

    Args:
        threshold: The smallest change that is sent, in units of the value; 0 or more.
        activation: "relu", torch's function of that name, or None for f(x) = x.
        channels: Neurons that have a bias each; 0 for none.
        sums: Whether what arrives are changes; otherwise (an encoder) it is the value itself.
        sends_changes: Whether changes leave; otherwise (a decoder) the value.

    Shape:
        (batch, channel, ..., time) -> the same.

    Raises:
        InputError: The threshold is below 0 or no number, or the activation is another; or, deployed, a state leaves
            24 bits, where the chip and Lava's model differ.

    Example:
        >>> neuron = SigmaDeltaNeuron(threshold=0.5)
        >>> neuron(torch.tensor([[[1.0, 0.25, 0.25, -2.0]]])).tolist()
        [[[1.0, 0.0, 0.5, -1.5]]]
    """

    deployed_bits: torch.Tensor
    norm = None

    def __init__(
        self,
        threshold: float = 0.0,
        activation: Activation = "relu",
        *,
        channels: int = 0,
        sums: bool = True,
        sends_changes: bool = True,
    ) -> None:
        super().__init__()
        is_number = isinstance(threshold, (int, float)) and math.isfinite(threshold)
        if not is_number or threshold < 0:
            raise InputError(f"sigma-delta: threshold must be a number of 0 or more, got {threshold!r}")
        if activation is not None and activation not in RELU:
            raise InputError(f'sigma-delta: activation must be "relu" or None, which chips have, got {activation!r}')
        check_sizes("sigma-delta", at_least=0, channels=channels)
        self.threshold = float(threshold)
        self.relu = activation is not None
        self.sums = sums
        self.sends_changes = sends_changes
        self.bias = torch.nn.Parameter(torch.zeros(channels)) if channels else None
        self._bits: tuple[int, int] = (0, 0)

    @property
    def is_deployed(self) -> bool:
        """Whether the forward pass is the chip's."""
        return "deployed_bits" in self._buffers

    def deploy(self, state_bits: int, sent_bits: int) -> None:
        """Switch to fixed point.

        Args:
            state_bits: Fraction bits of sum, bias, threshold and value.
            sent_bits: Fraction bits of what is sent, at most as many; more are cut off.
        """
        device = None if self.bias is None else self.bias.device
        bits = torch.tensor([state_bits, sent_bits], dtype=torch.float64, device=device)
        self.register_buffer("deployed_bits", bits)
        self._bits = state_bits, sent_bits

    @property
    def state_bits(self) -> int:
        """Fraction bits of the deployed neuron's states."""
        return self._bits[0]

    @property
    def sent_bits(self) -> int:
        """Fraction bits of what the deployed neuron sends."""
        return self._bits[1]

    @property
    def integer_threshold(self) -> int:
        """The deployed threshold in units of the state."""
        return round(self.threshold * 2.0**self.state_bits)

    def integer_bias(self) -> torch.Tensor:
        """The deployed bias in units of the state, per channel: even, as two of its digits make a weight."""
        bias = torch.zeros(1) if self.bias is None else self.bias
        return 2 * straight_through(*_rounded(bias.double() * 2.0 ** (self.state_bits - 1)))

    def value(self, z: torch.Tensor) -> torch.Tensor:
        """What is activated: the sum of all that arrived, and the bias."""
        value = z.cumsum(-1) if self.sums else z
        if self.bias is None:
            return value
        bias = self.integer_bias() / 2.0**self.state_bits if self.is_deployed else self.bias
        return value + bias.reshape(*bias.shape, *[1] * (z.ndim - 1 - bias.ndim))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """What leaves, for what arrives."""
        value = self.value(z)
        active = F.relu(value) if self.relu else value
        threshold = self.threshold
        if self.is_deployed:
            self._check(z, value)
            threshold = self.integer_threshold / 2.0**self.state_bits
        if not self.sends_changes:
            return active
        changes: torch.Tensor = Changes.apply(active, threshold)
        if not self.is_deployed or self.sent_bits == self.state_bits:
            return changes
        unit = 2.0**self.sent_bits
        return straight_through(torch.floor(changes.detach() * unit) / unit, changes)

    def _check(self, z: torch.Tensor, value: torch.Tensor) -> None:
        """Refuse what 24 bits do not hold; a change lies between two values, and so is below twice the limit."""
        if torch.compiler.is_exporting() or not z.numel():
            return
        largest = torch.maximum(z.detach().abs().max(), value.detach().abs().max())
        check_fits("sigma-delta neurons", largest, self.state_bits)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if any(name.startswith(prefix) for name in state_dict):
            check_deployed_alike(saved=prefix + "deployed_bits" in state_dict, own=self.is_deployed)
        super()._load_from_state_dict(state_dict, prefix, *args)
        if self.is_deployed:
            state, sent = self.deployed_bits.tolist()
            self._bits = round(state), round(sent)

    def extra_repr(self) -> str:
        """What torch prints."""
        return f"threshold={self.threshold:g}, activation={'relu' if self.relu else None}"


class Changes(torch.autograd.Function):
    """The changes of values that reach a threshold, over time; the gradient is that of all changes.

    Args of `apply`: the values, and the threshold.

    Example:
        >>> Changes.apply(torch.tensor([[[1.0, 1.25, 1.5, 1.5]]]), 0.5).tolist()
        [[[1.0, 0.0, 0.5, 0.0]]]
    """

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, threshold: float) -> torch.Tensor:
        """As the class says."""
        in_time = time_major(values)
        sent = torch.empty_like(in_time)
        if values.device.type == "cpu" and values.dtype in {torch.float32, torch.float64}:
            operators.changes(in_time.flatten(1), threshold, sent.flatten(1))
        else:
            told = torch.zeros_like(in_time[0])
            for now, out in zip(in_time, sent, strict=True):
                change = now - told
                out.copy_(torch.where(change.abs() < threshold, 0.0, change))
                told += out
        return slayer_order(sent)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Gradients of the arguments."""
        g = grads[0]
        return torch.cat([g[..., :-1] - g[..., 1:], g[..., -1:]], -1), None


def check_fits(where: str, largest: torch.Tensor, state_bits: int) -> None:
    """Refuse values that a state of 24 bits does not hold.

    Args:
        where: What holds them, for the message.
        largest: Their largest magnitude, as a tensor.
        state_bits: Fraction bits of the state.

    Raises:
        InputError: They do not fit (compiled: torch's RuntimeError).

    Example:
        >>> check_fits("neurons", torch.tensor(3.0), 22)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        pumice.errors.InputError: neurons: values must stay below 2, what 24 bits hold with 22 fraction bits...
    """
    limit = STATE_LIMIT / 2.0**state_bits
    message = f"{where}: values must stay below {limit:g}, what 24 bits hold with {state_bits} fraction bits"
    if torch.compiler.is_compiling():
        torch._assert_async(largest < limit, message)
    elif not largest < limit:
        raise InputError(
            f"{message}, got {float(largest):g}; quantize a copy of the trained network with an example as large "
            "as what will come"
        )


def _rounded(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rounded, and as it was."""
    return x.detach().round(), x
