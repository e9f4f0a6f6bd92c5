"""The number formats of Loihi 2. Lava's CPU models accept more than the chip holds, without a word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pumice.fixedpoint import weight_form
from pumice.fixedpoint.formats import BIAS_EXP, BIAS_MANT, DELAY_STEPS, STATE, VTH_MANT
from pumice.ir import Graph, Population, Synapse, check_known


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
    check_known(graph)
    found = [f"population {p.name}: {line}" for p in graph.populations for line in _population(p, limits)]
    for synapse in graph.synapses:
        found += [f"synapse {synapse.source} -> {synapse.target}: {line}" for line in _synapse(synapse, limits)]
    return found


def _population(p: Population, limits: ChipLimits) -> Iterator[str]:
    for parameter, limit in p.limits.items():
        if limit.register is not None:
            yield from _within(parameter, getattr(p, parameter), getattr(limits, limit.register))


def _synapse(s: Synapse, limits: ChipLimits) -> Iterator[str]:
    weight = s.weights
    if weight_form(weight) is None:
        yield (
            "weights must fit 8 bits (even numbers in -256..254, or one sign within 255), "
            f"got {weight.min()} to {weight.max()}{' with odd ones' if np.any(weight & 1) else ''}"
        )
    yield from _within("delay", s.max_delay_steps + s.balance_steps, limits.delay_steps)


def _within(label: str, value: Any, allowed: tuple[int, int]) -> Iterator[str]:
    low, high = int(np.min(value)), int(np.max(value))
    if low < allowed[0] or high > allowed[1]:
        found = f"{low}" if low == high else f"{low} to {high}"
        yield f"{label} must lie in {allowed[0]}..{allowed[1]}, got {found}"
