"""What stock netx and the Lava processes behind it make of the numbers in a file.

Stock netx shifts a dense layer's weights left as far as 8 bits allow, states an exponent that shifts the sum
back, and counts how many bits are needed; Lava's Dense then clips and truncates the shifted weights. For
weights that fit nothing changes; the exceptions are what this file is about.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pumice.errors import PumiceWarning
from pumice.fixedpoint.formats import DECAY_ONE, MIXED_WEIGHT

Int64Array = npt.NDArray[np.int64]


class StockForm(NamedTuple):
    """How stock netx would store a weight matrix: shifted left, with a number of bits."""

    shifted: Int64Array
    scale_bits: int
    num_weight_bits: int


def stock_form(weight: Int64Array) -> StockForm:
    """The shifted weights and format that stock netx chooses.

    An all-zero matrix (stock netx crashes on it) stays as it is.

    Args:
        weight: Integers, shape (out, in).

    Example:
        >>> stock_form(np.array([[-3, 10]])).shifted.tolist()  # mixed signs, shifted to use 8 bits
        [[-48, 160]]
    """
    low, high = int(weight.min()), int(weight.max())
    if (high > MIXED_WEIGHT.high and low < 0) or (low < MIXED_WEIGHT.low and high > 0):
        weight = np.clip(weight, *MIXED_WEIGHT)
        low, high = int(weight.min()), int(weight.max())
    if low == high == 0:
        return StockForm(weight, 0, 8)
    signed = high >= 0 > low
    scales = []
    if high > 0:
        scales.append((127 if signed else 255) / high)
    if low < 0:
        scales.append((128 if signed else 256) / -low)
    scale_bits = int(np.floor(np.log2(min(scales)))) + signed
    common_zeros = next((n for n in range(8, 0, -1) if not np.any(weight % 2**n)), 0)
    # NumPy's left shift by a negative number of bits gives 0: stock loses the whole layer.
    shifted = weight << scale_bits if scale_bits >= 0 else np.zeros_like(weight)
    return StockForm(shifted, scale_bits, 8 - scale_bits - (common_zeros - signed))


def lava_weights(shifted: Int64Array, num_weight_bits: int) -> Int64Array:
    """What Lava's Dense process makes of its weights in its first step: clip, then truncate.

    Args:
        shifted: Integers, shape (out, in).
        num_weight_bits: Its parameter of the same name.
    """
    negative, positive = bool(np.any(shifted < 0)), bool(np.any(shifted > 0))
    drop = 8 - num_weight_bits + (negative and positive)
    if drop < 0:  # NumPy's shift by a negative number of bits gives 0: the layer is lost
        return np.zeros_like(shifted)
    if negative and not positive:
        return -((np.minimum(-shifted, 255) >> drop) << drop)
    return (np.clip(shifted, -256, 255) >> drop) << drop


def stock_weights(*parts: Int64Array, forget_exponent: bool = False) -> list[Int64Array] | None:
    """The weights that act when stock netx runs a layer, or None if what acts is not linear in the spikes.

    Args:
        *parts: Weight matrices that stock netx shifts together (input and recurrent weights of a layer).
        forget_exponent: Do not shift back, as stock netx does for a recurrent layer with delays.

    Example:
        >>> stock_weights(np.array([[-256, -2]]))[0].tolist()  # inhibitory only: 8 bits end at 255
        [[-254, -2]]
    """
    form = stock_form(np.hstack(parts))
    found = []
    column = 0
    for part in parts:
        shifted = form.shifted[:, column : column + part.shape[1]]
        column += part.shape[1]
        acting = lava_weights(shifted, form.num_weight_bits)
        if not forget_exponent:
            bits = form.scale_bits
            if bits > 0 and np.any(acting % 2**bits):
                return None
            acting = acting >> bits if bits >= 0 else acting << -bits
        found.append(acting)
    return found


def stock_rotation(sin_decay: int | Int64Array, cos_decay: int | Int64Array) -> tuple[Any, Any]:
    """What stock netx makes of a resonator's decays: to a period and a decay in floating point, and back, truncated.

    Args:
        sin_decay: Times 2^12.
        cos_decay: Times 2^12.

    Example:
        >>> sin, cos = stock_rotation(1840, 3200)
        >>> sin in (1839, 1840), cos in (3199, 3200)  # numpy's sine ends in another bit on another processor
        (True, True)
    """
    sin, cos = np.asarray(sin_decay) / DECAY_ONE, np.asarray(cos_decay) / DECAY_ONE
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = 1 - np.sqrt(sin**2 + cos**2)
        period = 1 / (np.arctan2(sin, cos) / 2 / np.pi)
        angle = np.pi * 2 * 1 / period
    found = [((1 - alpha) * f(angle) * DECAY_ONE).astype(np.int32).astype(np.int64) for f in (np.sin, np.cos)]
    return tuple(int(n) if n.ndim == 0 else n for n in found)  # type: ignore[return-value]


def warn_of_stock(where: str, deed: str) -> None:
    """Warn that stock netx would run a file otherwise than it was trained.

    Args:
        where: Place in the file.
        deed: What stock netx does there.
    """
    warnings.warn(
        f"{where}: stock netx {deed}; this is run as it was trained (--as-stock runs it as stock netx does)",
        PumiceWarning,
        stacklevel=3,
    )
