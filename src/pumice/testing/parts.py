"""Random synapses and populations that fit together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pumice.fixedpoint import conv_output_shape, conv_transpose_output_shape
from pumice.ir import (
    Accumulator,
    Conv,
    ConvTranspose,
    Cuba,
    Delta,
    Dense,
    Direct,
    Input,
    OneToOne,
    Population,
    Reset,
    Resonator,
    Sigma,
    SigmaDelta,
    Sparse,
    Synapse,
    TokenMixing,
)
from pumice.testing import values
from pumice.testing.values import Rng, Shape, one_in, pick

LARGEST_SUM = 2**31
"""Lava's convolution is defined below it; the other synapses wrap there."""
STEPS_OF_A_SUM = 2**8
"""For how many steps a sigma neuron's sum is bounded."""


class Sketch:
    """A graph in the making: its parts, and how large what each population sends can become."""

    def __init__(self, rng: Rng, source: Input, longest_delay: int) -> None:
        self.rng = rng
        self.longest_delay = longest_delay
        self.input = source
        self.shapes: dict[str, Shape] = {source.name: source.shape}
        self.largest = {source.name: max(map(abs, source.value_range or (0, 2**23)))}
        self.populations: list[Population] = []
        self.synapses: list[Synapse] = []

    def add(self, population: Population, synapses: list[Synapse]) -> str:
        """Add a population with what enters it."""
        self.shapes[population.name] = population.shape
        self.populations.append(population)
        self.synapses += synapses
        total = sum(self._sum(s) for s in synapses)
        self.largest[population.name] = min(_largest_sent(population, total), 2**31)
        return population.name

    def synapse(
        self, source: str, target: str, shape: Shape | None = None, *, kind: str | None = None, **fixed: Any
    ) -> tuple[Synapse, Shape]:
        """A random synapse of any fitting kind.

        Args:
            source: Its name.
            target: Its name.
            shape: What the synapse must give, or None for any shape.
            kind: Name of the class, or None for any that fits.
            fixed: Fields that are not random.

        Returns:
            The synapse, and the shape that it gives.
        """
        kind = kind or pick(self.rng, self._fitting(source, shape))
        synapse, given = getattr(self, f"_{kind.lower()}")(source, target, shape)
        options = {"graded": one_in(self.rng, 2), "balance_steps": int(max(0, self.rng.integers(-6, 4))), **fixed}
        if isinstance(synapse, Direct):
            options = {"graded": self.input.value_range != (0, 1) or options["graded"]}
        synapse = replace(synapse, **options)
        if isinstance(synapse, Conv) and self._sum(synapse) >= LARGEST_SUM:
            synapse = replace(synapse, graded=False)
        return synapse, given

    def _sum(self, s: Synapse) -> int:
        """Bound on what a synapse adds in one step."""
        value = self.largest.get(s.source, 2**31) if s.graded else 1
        if isinstance(s, Conv):
            return int(np.abs(s.weight).sum(axis=(1, 2, 3)).max()) * value
        size = 1 if isinstance(s, Direct | OneToOne) else int(np.prod(self.shapes.get(s.source, (64,))))
        return value * (1 if isinstance(s, Direct) else 256 * size << getattr(s, "weight_exp", 0))

    def _fitting(self, source: str, shape: Shape | None) -> list[str]:
        own = self.shapes[source]
        kinds = ["Sparse"]
        kinds += ["Dense"] * 2 * (shape is None or len(shape) == 1)
        kinds += ["OneToOne"] * 2 * (shape in (None, own))
        kinds += ["TokenMixing"] * (len(own) == 3 and shape in (None, own))
        same_size = shape is not None and len(shape) == 3 and shape[:2] == own[:2]
        kinds += ["Conv"] * 4 * (len(own) == 3 and (shape is None or same_size))
        kinds += ["ConvTranspose"] * 2 * (len(own) == 3 and shape is None and own[0] * own[1] <= 36)
        kinds += ["Direct"] * (source == self.input.name and shape is None)
        return kinds

    def _direct(self, source: str, target: str, shape: Shape | None) -> tuple[Synapse, Shape]:
        return Direct(source, target), self.shapes[source]

    def _weights(self, shape: Shape) -> values.IntArray:
        return values.weights(self.rng, pick(self.rng, values.WEIGHT_KINDS), shape)

    def _exp(self) -> int:
        return int(pick(self.rng, [0, 0, 0, 0, 0, 1, 7]))

    def _dense(self, source: str, target: str, shape: Shape | None) -> tuple[Synapse, Shape]:
        n = shape[0] if shape else int(self.rng.integers(1, 10))
        n_source = int(np.prod(self.shapes[source]))
        delays = values.delays(self.rng, [(n_source,), (n, n_source)], self.longest_delay)
        weight = self._weights((n, n_source))
        return Dense(source, target, weight=weight, weight_exp=self._exp(), delay_steps=delays), (n,)

    def _sparse(self, source: str, target: str, shape: Shape | None) -> tuple[Synapse, Shape]:
        shape = shape or pick(self.rng, [(int(self.rng.integers(1, 10)),), (2, 3, 2), (3, 2, 4)])
        size = int(np.prod(shape))
        n = int(self.rng.integers(1, 6 * size))
        return Sparse(
            source,
            target,
            rows=self.rng.integers(0, size, n),
            columns=self.rng.integers(0, int(np.prod(self.shapes[source])), n),
            values=self._weights((n,)),
            weight_exp=self._exp(),
            delay_steps=values.delays(self.rng, [(n,)], self.longest_delay),
        ), shape

    def _onetoone(self, source: str, target: str, shape: Shape | None) -> tuple[Synapse, Shape]:
        own = self.shapes[source]
        weight = self._weights(pick(self.rng, [(), own[-1:], own]))
        delays = values.delays(self.rng, [own[-1:]], self.longest_delay)
        return OneToOne(source, target, weight=weight, weight_exp=self._exp(), delay_steps=delays), own

    def _tokenmixing(self, source: str, target: str, shape: Shape | None) -> tuple[Synapse, Shape]:
        own = self.shapes[source]
        tokens, heads = own[0] * own[1], pick(self.rng, [h for h in (1, 2, 4) if own[2] % h == 0])
        delays = values.delays(self.rng, [own[-1:]], self.longest_delay)
        weight = self._weights((heads, tokens, tokens))
        return TokenMixing(source, target, weight=weight, weight_exp=self._exp(), delay_steps=delays), own

    def _pair(self, low: int, high: int) -> tuple[int, int]:
        first, second = self.rng.integers(low, high + 1, 2)
        return int(first), int(second)

    def _conv(self, source: str, target: str, shape: Shape | None) -> tuple[Synapse, Shape]:
        rng, own = self.rng, self.shapes[source]
        stride, dilation, padding = (self._pair(low, high) for low, high in ((1, 2), (1, 2), (0, 2)))
        largest = [min(3, (own[i] + 2 * padding[i] - 1) // dilation[i] + 1) for i in (0, 1)]
        kernel = tuple(int(rng.integers(min(2, n) if rng.integers(2) else 1, n + 1)) for n in largest)
        n_out = None
        if shape is not None:  # the same size: odd kernels, padded
            n_out, stride = shape[2], (1, 1)
            kernel = pick(rng, [(1, 1), (3, 3), (3, 1), (1, 3)])
            padding = (dilation[0] * (kernel[0] // 2), dilation[1] * (kernel[1] // 2))
        groups = pick(rng, [g for g in (1, 2, 4) if own[2] % g == 0 and (n_out or g) % g == 0])
        weight = self._weights((n_out or groups * int(rng.integers(1, 3)), *kernel, own[2] // groups))
        delays = values.delays(rng, [own[-1:]], self.longest_delay)
        given = conv_output_shape(own, weight.shape, stride, padding, dilation)  # type: ignore[arg-type]
        conv = Conv(source, target, weight=weight, stride=stride, padding=padding, dilation=dilation, groups=groups,
                    delay_steps=delays)  # fmt: skip
        return conv, given

    def _convtranspose(self, source: str, target: str, shape: Shape | None) -> tuple[Synapse, Shape]:
        rng, own = self.rng, self.shapes[source]
        stride, dilation, kernel = (self._pair(low, high) for low, high in ((1, 2), (1, 2), (1, 3)))
        widest = [dilation[i] * (kernel[i] - 1) for i in (0, 1)]
        padding = tuple(int(rng.integers(0, min(2, (own[i] - 1) * stride[i] + widest[i]) // 2 + 1)) for i in (0, 1))
        output_padding = tuple(int(rng.integers(0, max(stride[i], dilation[i]))) for i in (0, 1))
        groups = pick(rng, [g for g in (1, 2, 4) if own[2] % g == 0])
        weight = self._weights((groups * int(rng.integers(1, 3)), *kernel, own[2] // groups))
        geometry: Any = {"stride": stride, "padding": padding, "dilation": dilation, "output_padding": output_padding}
        delays = values.delays(rng, [own[-1:]], self.longest_delay)
        given = conv_transpose_output_shape(own, weight.shape, **geometry)
        conv = ConvTranspose(source, target, weight=weight, **geometry, groups=groups, weight_exp=self._exp(),
                             delay_steps=delays)  # fmt: skip
        return conv, given


def _largest_sent(p: Population, total: int) -> int:
    """Bound on what a population sends, given one on its input."""
    if isinstance(p, Sigma):
        return total * STEPS_OF_A_SUM
    if isinstance(p, Delta):
        return (2 * (total << (p.spike_exp + p.state_exp)) + p.vth if total < 2**31 else 2**31) >> p.state_exp
    if isinstance(p, SigmaDelta):
        largest = 2 * (total * STEPS_OF_A_SUM + int(np.abs(p.bias).max())) + p.vth
        return (largest if largest < 2**31 else 2**31) >> p.state_exp
    return 1


def cuba(rng: Rng, name: str, shape: Shape) -> Cuba:
    """CUBA neurons, half of them with a reset."""
    return Cuba(name, shape, vth_mant=values.thresholds(rng), **_leaky(rng, shape))


def accumulator(rng: Rng, name: str, shape: Shape) -> Accumulator:
    """Neurons that never fire."""
    return Accumulator(name, shape, **_leaky(rng, shape))


def _leaky(rng: Rng, shape: Shape) -> dict[str, Any]:
    return {
        "i_decay_q12": values.decays(rng, shape),
        "v_decay_q12": values.decays(rng, shape),
        "bias_mant": values.biases(rng, shape),
        "bias_exp": int(rng.integers(8)),
        "reset": Reset(int(rng.integers(1, 21)), int(rng.integers(31))) if one_in(rng, 2) else None,
    }


def delta(rng: Rng, name: str, shape: Shape) -> Delta:
    """Delta neurons."""
    return Delta(name, shape, **_changes(rng))


def sigma_delta(rng: Rng, name: str, shape: Shape) -> SigmaDelta:
    """Sigma-delta neurons."""
    bias = rng.integers(-(2**12), 2**12, size=pick(rng, [(), shape[-1:], shape]))
    return SigmaDelta(name, shape, bias=bias, relu=not one_in(rng, 3), **_changes(rng))


def _changes(rng: Rng) -> dict[str, Any]:
    return {
        "vth": int(pick(rng, [0, 1, rng.integers(2**8), rng.integers(2**12), rng.integers(2**16)])),
        "spike_exp": int(pick(rng, [0, 6, rng.integers(8)])),
        "state_exp": int(pick(rng, [0, 6, rng.integers(8)])),
        "cum_error": one_in(rng, 2),
    }


def resonator(rng: Rng, name: str, shape: Shape) -> Resonator:
    """Resonators, damped ones mostly."""
    period, kept = rng.uniform(3, 12, shape), rng.uniform(0.8, 1.0, shape)
    sin, cos = (np.rint(4096 * kept * f(2 * np.pi / period)).astype(int) for f in (np.sin, np.cos))
    if one_in(rng, 4):
        sin, cos = rng.integers(-(2**12), 2**12, 2)
    return Resonator(
        name,
        shape,
        vth=int(2 ** rng.integers(4, 15)),
        sin_decay=sin,
        cos_decay=cos,
        state_exp=int(pick(rng, [6, 6, rng.integers(8)])),
        decay_bits=int(pick(rng, [12, 12, rng.integers(9, 13)])),
        izhikevich=one_in(rng, 2),
    )
