"""How many integers one threshold is: the scale of each layer, and its rounded weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from pumice.errors import FileFormatError
from pumice.fixedpoint import weight_form
from pumice.fixedpoint.formats import (
    BIAS_EXP,
    BIAS_MANT,
    DECAY_ONE,
    MIXED_WEIGHT,
    STATE_EXP,
    SUM_LIMIT,
    VTH_MANT,
    WEIGHT,
    WEIGHT_EXP,
)
from pumice.nir.maps import Diagonal, FloatArray, Kernel, LinearMap, Shape

Weights: TypeAlias = Literal["8bit", "split"]
IntArray: TypeAlias = npt.NDArray[np.int64]
SPLIT_BITS = 7
SPLIT_LIMIT = (1 << 14) - 1
"""Largest weight that two synapses of 8 bits hold, the one shifted left by 7."""
FINE = 128
"""A threshold of so many integers is rounded by less than half a per cent."""
DEEP = 256
"""Thresholds below 0 at which the voltage may clip if neither a leak nor the user's data bound it before."""
MARGIN = 0.98
"""Of the 24 bits: rounded weights may add up to a little more than the weights do."""
PARTS = 64
"""Of a scale that does not fit: the next one to be tried is so many parts less one."""


class Rounded(NamedTuple):
    """Weights of one stored synapse: value * 2^weight_exp."""

    values: IntArray
    weight_exp: int


@dataclass(frozen=True, eq=False)
class Reach:
    """The most that can arrive at a layer, in thresholds.

    Attributes:
        low: Least sum of one step, <= 0.
        high: Greatest.
        memory: Steps' worth of input that the current holds.
        bias: Largest constant drive of the voltage, as an absolute value.
        depth: How far below 0 (or, where nothing fires, from 0) the voltage must be able to go.
        blanked: Whether a clock must hold the layer below threshold between samples.
        truncates: Whether the states decay, so that finer integers lose less.
    """

    low: float
    high: float
    memory: float
    bias: float
    depth: float
    blanked: bool
    truncates: bool


def row_sums(linear: LinearMap, shape: Shape) -> tuple[FloatArray, FloatArray]:
    """The sums of negative and of positive weights into each neuron; at a convolution's border they are bounds."""
    if isinstance(linear, Diagonal):
        weight = np.broadcast_to(linear.weight, shape) if linear.weight.ndim == len(shape) else linear.weight
        halves = np.minimum(weight, 0), np.maximum(weight, 0)
    else:
        flat = linear.weight.reshape(len(linear.weight), -1)
        halves = np.minimum(flat, 0).sum(1), np.maximum(flat, 0).sum(1)
    if isinstance(linear, Kernel):
        halves = tuple(h.reshape(-1, *(1,) * (len(shape) - 1)) for h in halves)  # type: ignore[assignment]
    elif halves[0].size == int(np.prod(shape)):
        halves = halves[0].reshape(shape), halves[1].reshape(shape)
    return np.broadcast_to(halves[0], shape), np.broadcast_to(halves[1], shape)


def scale_limit(maps: list[LinearMap], reach: Reach, weights: Weights) -> float:
    """The largest scale at which state, threshold, bias and weights fit their registers."""
    limits = [float(VTH_MANT.high)]
    largest = max(reach.high, -reach.low)
    if largest:
        limits.append(MARGIN * SUM_LIMIT / (largest * reach.memory))
    if reach.blanked:  # see passes.schedule_resets: inhibition outweighs all that excites
        needed = reach.high * reach.memory + reach.bias - reach.low
        limits.append(MARGIN * SUM_LIMIT / (needed * reach.memory) if needed else np.inf)
    if reach.depth:
        limits.append(MARGIN * SUM_LIMIT / reach.depth)
    if reach.bias:
        limits.append((BIAS_MANT.high << BIAS_EXP.high) / (1 << STATE_EXP) / reach.bias)
    for linear in maps:
        peak = np.abs(linear.weight).max(initial=0)
        if peak and weights == "split":
            limits.append(SPLIT_LIMIT / peak)
        elif peak:
            # A convolution has no exponent.
            limits.append(MIXED_WEIGHT.high * (1 if isinstance(linear, Kernel) else 1 << WEIGHT_EXP.high) / peak)
    return min(limits)


def choose_scale(maps: list[LinearMap], reach: Reach, weights: Weights, natural: float) -> int:
    """Integers per threshold: one at which all weights are whole if there is one, else one that uses all 8 bits.

    Args:
        maps: Of the layer, in thresholds.
        reach: What arrives.
        weights: "8bit", or "split" over two synapses.
        natural: The file's own unit, 1 in it = `natural` thresholds; powers of two of it are tried for whole weights.

    Returns:
        The scale, which is the threshold's mantissa; 0 if the limits leave none.
    """
    limit = scale_limit(maps, reach, weights)
    peaks = [float(p) for linear in maps if (p := np.abs(linear.weight).max(initial=0))]
    exponents = range(-16, 17)
    for exponent in reversed(exponents) if reach.truncates else exponents:
        scale = 2.0**exponent / natural
        near = 1 <= scale <= limit and abs(scale - round(scale)) < 1e-9 * scale
        if near and all(_whole(linear, scale, weights) for linear in maps):
            return round(scale)
    if weights == "split" or not peaks:
        return int(limit)
    target = min(max(FINE, MIXED_WEIGHT.high / min(peaks)), limit)
    full = MIXED_WEIGHT.high / max(peaks)  # the scale at which the largest weight fills 8 bits without an exponent
    scale = full
    while scale < target and 2 * scale <= limit:
        scale *= 2
    return int(min(scale, limit))


def _whole(linear: LinearMap, scale: float, weights: Weights) -> bool:
    """Whether all weights are whole numbers at a scale, of a size that can be stored."""
    values = linear.weight * scale
    whole = np.rint(values)
    if np.any(np.abs(values - whole) > 1e-9 * np.maximum(np.abs(whole), 1)):
        return False
    integers = whole.astype(np.int64)
    if weights == "split":
        return bool(np.abs(integers).max(initial=0) <= SPLIT_LIMIT)
    found = _exact(integers)
    return found is not None and not (isinstance(linear, Kernel) and found.weight_exp)


def _exact(integers: IntArray) -> Rounded | None:
    for weight_exp in range(WEIGHT_EXP.high + 1):
        values = integers >> weight_exp
        if np.any(values << weight_exp != integers):
            return None
        if weight_form(values) is not None:
            return Rounded(values, weight_exp)
    return None


def round_weights(
    values: FloatArray, weights: Weights, *, exponents: bool = True, even: bool = False
) -> list[Rounded]:
    """Integer weights of one synapse, or of two that add up.

    Args:
        values: Weights times scale.
        weights: How they are stored.
        exponents: Whether the synapse has an exponent (a convolution has none).
        even: Whether one synapse of 8 bits holds even numbers only, also where all weights have one sign.
    """
    whole = np.rint(values).astype(np.int64)
    if weights == "split":
        high = np.sign(whole) * (np.abs(whole) >> SPLIT_BITS)  # of one sign with the rest: bounds of sums stay tight
        low = whole - (high << SPLIT_BITS)
        parts = [Rounded(high, SPLIT_BITS), Rounded(low, 0)]
        return [part for part in parts if np.any(part.values)] or parts[1:]
    exact = _exact(whole) if np.allclose(values, whole, rtol=0, atol=1e-9) else None
    if exact is not None and not even and (exponents or exact.weight_exp == 0):
        return [exact]
    low_end, high_end = float(values.min(initial=0)), float(values.max(initial=0))
    mixed = even or low_end < 0 < high_end
    top = MIXED_WEIGHT.high if mixed else WEIGHT.high
    weight_exp = 0
    while exponents and max(high_end, -low_end) > (top << weight_exp) * (1 + 1e-9):
        weight_exp += 1
    step = 2 if mixed else 1
    rounded = step * np.rint(values / (step << weight_exp)).astype(np.int64)
    return [Rounded(np.clip(rounded, MIXED_WEIGHT.low if mixed else -top, top), weight_exp)]


def next_smaller(scale: int) -> int:
    """The scale to try when one does not fit: a sixty-fourth less.

    Example:
        >>> next_smaller(128), next_smaller(3)
        (126, 2)
    """
    return scale - max(scale // PARTS, 1)


def total_of(parts: Sequence[Rounded]) -> IntArray:
    """The integers that synapses hold together."""
    return sum((part.values << part.weight_exp for part in parts[1:]), parts[0].values << parts[0].weight_exp)


def round_bias(bias: FloatArray, scale: int, name: str) -> tuple[IntArray, int]:
    """bias_mant and bias_exp of a constant drive in thresholds."""
    values = bias * scale * (1 << STATE_EXP)
    for bias_exp in range(BIAS_EXP.high + 1):
        mantissa = np.rint(values / (1 << bias_exp)).astype(np.int64)
        if np.abs(mantissa).max(initial=0) <= BIAS_MANT.high:
            return mantissa, bias_exp
    raise FileFormatError(
        f"layer {name!r}: its bias is {np.abs(bias).max():.4g} thresholds a step, more than {BIAS_MANT.high} * "
        f"2^{BIAS_EXP.high} holds at any scale; use smaller biases"
    )


def round_decay(share: FloatArray) -> IntArray:
    """In units of 2^-12."""
    return np.rint(share * DECAY_ONE).astype(np.int64)
