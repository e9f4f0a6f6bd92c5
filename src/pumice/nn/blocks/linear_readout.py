"""A linear answer read from a stream of currents, split into one map of spikes for each of its terms."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F

from pumice.errors import InputError, PumiceWarning
from pumice.fixedpoint.formats import (
    BIAS_MANT,
    DECAY_ONE,
    MIXED_WEIGHT,
    NEVER_FIRES_VTH_MANT,
    STATE_EXP,
    SUM_LIMIT,
)
from pumice.names import counted
from pumice.nn.blocks.current import Current, Term, check_current, sum_of_offsets
from pumice.nn.checks import check_sizes
from pumice.nn.computed_weight import weight_of
from pumice.nn.exact import exactly_if_deployed
from pumice.nn.neurons.integer import ChipIntegrate, clip24, wrap24, wrap_int32
from pumice.nn.precision import at_least_float32
from pumice.nn.rounding import round_even, round_integer, straight_through

MARGIN = 4
"""How much larger than the example's a sum may become."""
ROUNDING_WARNING = 0.2
_WEIGHTS = "one weight, far larger than most, takes the 8 bits: train longer, or with more weight decay"
_IMAGE = "the {} of a large image in many grey levels {}: use fewer grey levels (data.gray_levels), or no short path"
_BIAS, _SUMS = _IMAGE.format("bias", "does not fit 13 bits"), _IMAGE.format("sum", "does not fit 17 bits")


class LinearReadout(torch.nn.Module):
    r"""Mean over the tokens, then a linear layer, of currents that no neuron receives.

    .. math:: y(t) = W \, \underset{n}{\mathrm{mean}} \, I_n(t) + b

    Deng et al. (Spiking Token Mixer, NeurIPS 2024) read the class from the sum of all their currents, which exists
    nowhere on an event-driven chip. All of it is linear, so the answer is also a sum over the stream's terms,

    .. math:: y(t) = \sum_k R_k \, s_k(t) + b', \qquad R_k = \frac{1}{N} W \sum_n (W_k)_n,

    of maps of *spikes*: deployed, each R_k is an 8-bit synapse into one population of `ir.Accumulator`, whose voltage
    is the answer. It is computed in units of 2^-k, so that float32 holds it exactly. With a `voltage_decay` below 1
    the voltage is that of a leaky integrator, :math:`v(t) = (1 - d) \, v(t - 1) + y(t)`.

    Args:
        channels: Channels of the current.
        n_classes: Numbers of the answer.
        bias: Whether there is a b.
        voltage_decay: d, above 0 to 1: what each step takes of the voltage, rounded to a multiple of 1/4096; 1 keeps
            nothing.
        current_decay: The same of a current into which y goes first; below 1 there is no b, which the chip adds to
            the voltage.

    Shape:
        A `Current` of (batch, channel, ..., time) -> (batch, n_classes, time), real numbers. Their sum over time
        decides, as the spike counts of a layer of neurons would.

    Raises:
        InputError: A size is below 1, a decay not above 0 to 1, a bias meets a current with memory, or what enters is
            no `Current` of `channels` channels.

    Example:
        >>> from pumice.nn import ConvSynapse
        >>> LinearReadout(3, 10)(Current.of(ConvSynapse(2, 3, 1), torch.ones(1, 2, 4, 4, 5))).shape
        torch.Size([1, 10, 5])
    """

    deployed_scale: torch.Tensor

    def __init__(
        self,
        channels: int,
        n_classes: int,
        *,
        bias: bool = True,
        voltage_decay: float = 1.0,
        current_decay: float = 1.0,
    ) -> None:
        super().__init__()
        check_sizes("LinearReadout", channels=channels, n_classes=n_classes)
        self.voltage_decay_q12 = _decay_q12("voltage_decay", voltage_decay)
        self.current_decay_q12 = _decay_q12("current_decay", current_decay)
        if bias and self.current_decay_q12 < DECAY_ONE:
            raise InputError(
                "LinearReadout: a bias needs current_decay=1, as the chip adds it to the voltage; bias=False"
            )
        self.linear = torch.nn.Linear(channels, n_classes, bias=bias)
        self.delay = None

    @property
    def is_deployed(self) -> bool:
        """Whether the forward pass is the chip's."""
        return "deployed_scale" in self._buffers

    @property
    def integer_scale(self) -> float:
        """Integers per unit of the answer, in weights and bias; a power of two."""
        return float(self.deployed_scale)

    @property
    def unit(self) -> float:
        """What one of the accumulators' integers is worth."""
        return 1 / (self.integer_scale * (1 << STATE_EXP))

    def fitting_scale(self, terms: tuple[Term, ...]) -> float:
        """The largest power of two at which the chip's formats hold this read-out.

        Weights and bias must fit 8 and 13 bits, and `MARGIN` times the largest sum of the example 17 bits. A proof
        from the worst case, as for neurons, would leave nothing for the sum over a whole image. A larger sum wraps,
        here as on the chip; `lower` says where one could.

        Args:
            terms: Of the example's current, with its spikes.
        """
        with torch.no_grad():
            weights = [self.real_weight(term) for term in terms]
            sums = _sum(weights, terms)
            reached = self._held(sums + self.real_bias(terms).double()) if self._leaks else sums
            largest = max(float(sums.abs().max()), float(reached.abs().max()))
            limits = {
                _WEIGHTS: (MIXED_WEIGHT.high, max(float(weight.abs().max()) for weight in weights)),
                _BIAS: (BIAS_MANT.high, float(self.real_bias(terms).abs().max())),
                _SUMS: (SUM_LIMIT, MARGIN * largest),
            }
            fitting = {reason: limit / found for reason, (limit, found) in limits.items() if found > 0}
            reason = min(fitting, key=fitting.__getitem__, default=_WEIGHTS)
            scale = 2.0 ** math.floor(math.log2(fitting.get(reason, 1.0)))
            rounded = _sum([self._rounded(weight, scale) for weight in weights], terms) / scale
        _warn_of_rounding(rounded, sums, reason)
        return scale

    def deploy(self, scale: float) -> None:
        """Switch to the chip's arithmetic, with so many integers per unit of the answer: a power of two."""
        value = torch.full((), scale, dtype=torch.float32, device=self.linear.weight.device)
        self.register_buffer("deployed_scale", value)

    @exactly_if_deployed
    def forward(self, current: Current) -> torch.Tensor:
        """The answer of every step; deployed, multiples of `unit`."""
        self._check(current)
        if not self.is_deployed:
            growth = F.linear(current.value.unsqueeze(2).flatten(2, -2).mean(2).movedim(1, -1), *self._rows())
            return (self._held(growth) if self._leaks else growth).movedim(-1, 1)
        if torch.compiler.is_exporting():
            raise InputError("a deployed LinearReadout has no torch.export; export it as trained, or pumice.lower it")
        sums = _sum([self.integers(term) for term in current.terms], current.terms)
        bias = self.integer_bias(current.terms)
        voltage = self._integrated(sums, bias) if self._leaks else _accumulated(sums, bias)
        return (voltage / self.deployed_scale).to(self.linear.weight.dtype).movedim(-1, 1)

    @property
    def _leaks(self) -> bool:
        return min(self.voltage_decay_q12, self.current_decay_q12) < DECAY_ONE

    def _held(self, growth: torch.Tensor) -> torch.Tensor:
        """The voltage of a leaky integrator in real numbers, shape (batch, time, n) as what it receives."""
        keep, keep_current = (1 - q12 / DECAY_ONE for q12 in (self.voltage_decay_q12, self.current_decay_q12))
        voltage = current = torch.zeros_like(at_least_float32(growth[:, 0]))  # small steps add to a large sum
        found = []
        for added in growth.unbind(1):
            current = keep_current * current + added
            voltage = keep * voltage + current
            found.append(voltage)
        return torch.stack(found, 1).to(growth.dtype)

    def _integrated(self, sums: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """The accumulators' voltage over 2^6, shape (batch, time, n), as the chip leaks, wraps and clips."""
        scale = 1 << STATE_EXP
        current = straight_through(wrap24(wrap_int32(sums.detach() * scale)) / scale, sums)
        decay = torch.full_like(sums[:, 0], float(self.voltage_decay_q12))
        rest = torch.zeros_like(sums[:, 0])
        if self.current_decay_q12 < DECAY_ONE:
            decay_u = torch.full_like(rest, float(self.current_decay_q12))
            current = ChipIntegrate.apply(sums.movedim(1, -1), decay_u, rest, None).movedim(-1, 1)
        x = (current + bias).movedim(1, -1)
        voltage: torch.Tensor = ChipIntegrate.apply(x, decay, rest, float(NEVER_FIRES_VTH_MANT))
        return voltage.movedim(-1, 1)

    def _check(self, current: Current) -> None:
        check_current("LinearReadout", current)
        if current.channels != self.linear.in_features:
            raise InputError(
                f"LinearReadout reads {counted(self.linear.in_features, 'channel')}, got a Current of "
                f"{current.channels}; make it with channels={current.channels}"
            )

    def real_weight(self, term: Term) -> torch.Tensor:
        """The matrix R_k, shape (n_classes, neurons of the term's source in torch's order), with gradient."""
        learns, compiles = torch.is_grad_enabled(), torch.compiler.is_compiling()
        with nullcontext() if compiles else torch.inference_mode(False), torch.enable_grad():
            synapse, weight = term.synapse, weight_of(term.synapse)
            rows = weight_of(self.linear)[:, term.first_channel :][:, : synapse.out_channels]
            folded = weight * synapse.gain().reshape(-1, *[1] * (weight.ndim - 1))
            # The adjoint of the synapse, applied to one row for each class.
            x = rows.new_zeros(len(rows), *term.spikes.shape[1:-1], 1)
            if compiles:  # dynamo takes no autograd.grad; checkpointing takes no vjp
                found: Any = torch.func.vjp(lambda x: synapse.linear(x, folded), x)
                y, adjoint = found
                (matrix,) = adjoint(_mean_of_tokens(rows, y))
            else:
                y = synapse.linear(x.requires_grad_(), folded)
                (matrix,) = torch.autograd.grad(y, x, _mean_of_tokens(rows, y), create_graph=learns)
        return matrix.flatten(1)

    def real_bias(self, terms: tuple[Term, ...]) -> torch.Tensor:
        """The bias b', shape (n_classes,): b, and what the norms of the terms add to the mean."""
        weight, *bias = self._rows()
        return F.linear(sum_of_offsets(terms, weight.shape[1]), weight, *bias)

    def integers(self, term: Term) -> torch.Tensor:
        """The matrix R_k on the chip's grid, with gradient."""
        return self._rounded(self.real_weight(term), self.deployed_scale)

    @staticmethod
    def _rounded(weight: torch.Tensor, scale: torch.Tensor | float) -> torch.Tensor:
        return round_even(weight * scale, *MIXED_WEIGHT)

    def integer_bias(self, terms: tuple[Term, ...]) -> torch.Tensor:
        """The bias b' as a mantissa with exponent 6, with gradient."""
        return round_integer(self.real_bias(terms) * self.deployed_scale, *BIAS_MANT)

    def _rows(self) -> tuple[torch.Tensor, ...]:
        weight, bias = weight_of(self.linear), self.linear.bias
        return (weight,) if bias is None else (weight, bias)


def _decay_q12(name: str, decay: float) -> int:
    is_number = isinstance(decay, (int, float)) and math.isfinite(decay)
    q12 = round(decay * DECAY_ONE) if is_number else 0
    if not 0 < q12 <= DECAY_ONE:
        raise InputError(f"LinearReadout: {name} must lie above 0 (1/4096 at least) and up to 1, got {decay!r}")
    return q12


def _warn_of_rounding(rounded: torch.Tensor, sums: torch.Tensor, reason: str) -> None:
    lost = float((rounded - sums).square().mean().sqrt() / sums.square().mean().sqrt().clamp(min=1e-30))
    if lost > ROUNDING_WARNING:
        warnings.warn(
            f"LinearReadout: rounding its weights changes its sums by {lost:.0%} of their size on the example; "
            f"{reason}",
            PumiceWarning,
            stacklevel=4,
        )


def _accumulated(sums: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """The accumulators' voltage over 2^6, which wraps and clips as the chip's, with the gradient of sums + bias."""
    whole = sums + bias
    exact = clip24(wrap24(wrap_int32(sums.detach() * (1 << STATE_EXP))) + bias.detach() * (1 << STATE_EXP))
    return straight_through(exact / (1 << STATE_EXP), whole)


def _mean_of_tokens(rows: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Each class's row at every token of y, over their number."""
    return (rows / y[0, 0].numel()).reshape(*rows.shape, *[1] * (y.ndim - 2)).expand_as(y)


def _sum(weights: Sequence[torch.Tensor], terms: tuple[Term, ...]) -> torch.Tensor:
    """The answer without bias, shape (batch, time, n_classes).

    In float64: what is left of large sums that cancel each other must be exact, as it is on the chip.
    """
    total: Any = sum(
        F.linear(term.spikes.flatten(1, -2).movedim(1, -1).double(), weight.double())
        for weight, term in zip(weights, terms, strict=True)
    )
    return total
