"""Random values that reach every corner of the integer arithmetic: extremes first, then everything between."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer[Any]]
Rng = np.random.Generator
Shape = tuple[int, ...]

WEIGHT_KINDS = ("even", "small", "few", "any", "excitatory", "inhibitory", "extreme", "sparse", "zero")
STREAM_KINDS = ("spikes", "dense spikes", "small", "any", "extreme")
VALUE_RANGES = ((0, 1), (-128, 127), (-(2**14), 2**14 - 1), (-(2**17), 2**17 - 1), (-(2**23), 2**23 - 1))


def one_in(rng: Rng, n: int) -> bool:
    """True once in `n` times."""
    return int(rng.integers(n)) == 0


def pick(rng: Rng, items: Any) -> Any:
    """One of a list's items, as it is (NumPy's choice makes arrays of them)."""
    return items[int(rng.integers(len(items)))]


def weights(rng: Rng, kind: str, shape: Shape) -> IntArray:
    """Weights that Lava's synapses hold exactly.

    Args:
        rng: Source of randomness.
        kind: One of `WEIGHT_KINDS`.
        shape: Any.
    """
    low, high = {
        "even": (-128, 127),
        "small": (-128, 127),
        "few": (-1, 2),
        "any": (-256, 255),
        "excitatory": (0, 255),
        "inhibitory": (-255, 0),
        "extreme": (-128, 127),
        "sparse": (-256, 255),
        "zero": (0, 0),
    }[kind]
    drawn = rng.integers(low, high + 1, size=shape)
    if kind == "even":
        return 2 * drawn
    if kind == "few":  # sums that meet a threshold exactly
        return 32 * drawn
    if kind == "extreme":
        return rng.choice([-256, -255, -1, 0, 1, 254, 255], size=shape)
    if kind == "sparse":
        return np.where(rng.random(shape) < 0.25, drawn, 0)
    return drawn


def stream(rng: Rng, kind: str, shape: Shape, value_range: tuple[int, int]) -> IntArray:
    """An input stream.

    Args:
        rng: Source of randomness.
        kind: One of `STREAM_KINDS`.
        shape: (T, *input shape).
        value_range: Smallest and largest value allowed, with 0 and 1 between them.
    """
    low, high = value_range
    if kind in ("spikes", "dense spikes"):
        return (rng.random(shape) < (0.2 if kind == "spikes" else 0.8)).astype(np.int64)
    if kind == "extreme":
        return rng.choice([low, 0, 0, high], size=shape)
    if kind == "small":
        low, high = max(low, -9), min(high, 9)
    return np.where(rng.random(shape) < 0.5, rng.integers(low, high + 1, size=shape), 0)


def decays(rng: Rng, shape: Shape) -> int | IntArray:
    """A decay of 0 to 4096 for all neurons, for each channel, or for each neuron."""
    corners = [0, 1, 4095, 4096]
    if one_in(rng, 3):
        return rng.choice([*corners, 300, 1024, 2048], size=pick(rng, [shape, shape[-1:]]))
    return int(pick(rng, [0, 4096, *corners, rng.integers(4097), rng.integers(4097)]))


def thresholds(rng: Rng) -> int:
    """Thresholds of up to 17 bits, mostly of 7 to 12, which a few weights reach; round ones may be met exactly."""
    if one_in(rng, 2):
        return 32 * int(rng.integers(17))
    bits = int(rng.integers(7, 13) if rng.integers(3) else rng.integers(18))
    return int(rng.integers(2**bits // 2, 2**bits))


def biases(rng: Rng, shape: Shape) -> int | IntArray:
    """No bias, one, or one for each neuron: 13 bits, mostly 8; seldom the 16 bits that Lava's CPU model takes."""
    kind = pick(rng, ["none", "none", "one", "small", "small", "large", "extreme"])
    if kind == "none":
        return 0
    if kind == "one":
        return int(rng.integers(-(2**7), 2**7))
    if kind == "extreme":
        return int(pick(rng, [-(2**15), -(2**12), 2**12 - 1, 2**15 - 1]))
    limit = 2**7 if kind == "small" else 2**12
    return rng.integers(-limit, limit, size=shape)


def delays(rng: Rng, shapes: list[Shape], longest: int) -> int | IntArray:
    """No delay, one for all, or an array of one of the shapes."""
    kind = int(rng.integers(5))
    if kind < 2:
        return 0
    if kind == 2:
        return int(rng.integers(longest + 1))
    return rng.integers(0, int(rng.integers(1, max(longest, 1) + 1)) + 1, size=pick(rng, shapes))
