"""The number formats of Loihi 2. Lava's CPU models accept more than the chip holds, without a word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pumice.fixedpoint import weight_form
from pumice.fixedpoint.formats import BIAS_EXP, BIAS_MANT, DELAY_STEPS, STATE, VTH_MANT
from pumice.hardware.violation import Violation
from pumice.ir import Conv, Direct, Graph, Population, Synapse, check_known
from pumice.names import counted


@dataclass(frozen=True)
class ChipLimits:
    """Largest and smallest integers of each register.

    Attributes:
        vth_mant: Threshold mantissa, unsigned 17 bits (docstring of Lava's LIF model).
        bias_mant: Bias mantissa, signed 13 bits (ibid.).
        bias_exp: Bias exponent, unsigned 3 bits (ibid.).
        delay_steps: Synaptic delay; 6 bits hold 63, lava-dl and NetX stop at 62 (lava-dl's axon.Delay).
        state: A state variable, signed 24 bits, and what is compared with it or added to it in the same unit: the
            thresholds and biases of sigma-delta neurons and resonators (`precision` in Lava's models of them).
    """

    vth_mant: tuple[int, int] = VTH_MANT
    bias_mant: tuple[int, int] = BIAS_MANT
    bias_exp: tuple[int, int] = BIAS_EXP
    delay_steps: tuple[int, int] = DELAY_STEPS
    state: tuple[int, int] = STATE


LOIHI2 = ChipLimits()
_VERBS = {"weights": "fit"}


def violations(graph: Graph, limits: ChipLimits = LOIHI2) -> list[str]:
    """Everything in a graph that the chip's registers cannot hold. Not verified on a chip.

    Args:
        graph: A valid graph.
        limits: The chip's.

    Returns:
        One line per violation: where, what is allowed, what was found; empty if the graph fits.

    Raises:
        GraphError: A kind of population or synapse that is not known.

    Example:
        >>> from pumice.ir.builder import chain
        >>> violations(chain((4,), [3], seed=0, vth_mant=200_000))
        ['population dense0: vth_mant must lie in 0..131071, got 200000']
    """
    return [
        f"{v.where}: {v.register} must {_VERBS.get(v.register, 'lie in')} {v.limit}, got {v.needed}"
        for v in register_violations(graph, limits)
    ]


def register_violations(graph: Graph, limits: ChipLimits = LOIHI2) -> list[Violation]:
    """The same as `violations`, in parts.

    Raises:
        GraphError: A kind of population or synapse that is not known.
    """
    check_known(graph)
    found = [v for p in graph.populations for v in _population(p, limits)]
    return found + [v for s in graph.synapses for v in _synapse(s, limits)]


def reset_violations(graph: Graph) -> list[Violation]:
    """The reset interval is a power of two (a comment in lava-dl's MNIST tutorial).

    Example:
        >>> from pumice.ir import with_reset_schedule
        >>> from pumice.ir.builder import chain
        >>> [v.needed for v in reset_violations(with_reset_schedule(chain((4,), [3], seed=0), 6))]
        ['6 steps']
    """
    return [
        Violation(
            f"population {p.name}",
            "reset interval",
            f"{counted(p.reset.interval, 'step')}",
            "powers of two",
            f"Lower with period_steps={1 << p.reset.interval.bit_length()}.",
        )
        for p in graph.populations
        if p.reset is not None and p.reset.interval & (p.reset.interval - 1)
    ]


def wide_images(graph: Graph, widest: int) -> Iterator[tuple[str, int]]:
    """Where a convolution reads an image wider than this, and how wide it is.

    A direct input is among them: on the chip, an identity convolution stands between an adapter and the neurons.
    """
    for s in graph.synapses:
        shape = graph.shape_of(s.source)
        if passes_pixels(s, shape) and shape[0] > widest:
            yield f"synapse {s.source} -> {s.target}", shape[0]


def passes_pixels(s: Synapse, source: tuple[int, ...]) -> bool:
    """Whether a synapse is a convolution on the chip, as a direct input of an image is."""
    return isinstance(s, Conv) or (isinstance(s, Direct) and len(source) == 3)


def _population(p: Population, limits: ChipLimits) -> Iterator[Violation]:
    for parameter, limit in p.limits.items():
        if limit.register is not None:
            where = f"population {p.name}"
            yield from _within(where, parameter, getattr(p, parameter), getattr(limits, limit.register))


def _synapse(s: Synapse, limits: ChipLimits) -> Iterator[Violation]:
    where, weight = f"synapse {s.source} -> {s.target}", s.weights
    if weight_form(weight) is None:
        yield Violation(
            where,
            "weights",
            f"{weight.min()} to {weight.max()}{' with odd ones' if np.any(weight & 1) else ''}",
            "8 bits (even numbers in -256..254, or one sign within 255)",
        )
    yield from _within(where, "delay", s.max_delay_steps + s.balance_steps, limits.delay_steps)


def _within(where: str, label: str, value: Any, allowed: tuple[int, int]) -> Iterator[Violation]:
    low, high = int(np.min(value)), int(np.max(value))
    if low < allowed[0] or high > allowed[1]:
        found = f"{low}" if low == high else f"{low} to {high}"
        yield Violation(where, label, found, f"{allowed[0]}..{allowed[1]}")
