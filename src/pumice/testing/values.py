"""Random values that reach every corner of the integer arithmetic: extremes first, then everything between."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

IntArray = npt.NDArray[np.integer[Any]]

WEIGHT_KINDS = ("even", "small", "few", "any", "excitatory", "inhibitory", "extreme", "sparse", "zero")
STREAM_KINDS = ("spikes", "dense spikes", "signed", "large", "largest")


def generators() -> st.SearchStrategy[np.random.Generator]:
    """Seeded NumPy generators: arrays are filled by them, since hypothesis is slow on arrays."""
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


def weights(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> IntArray:
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


def stream(rng: np.random.Generator, kind: str, shape: tuple[int, ...], limit: int) -> IntArray:
    """An input stream.

    Args:
        rng: Source of randomness.
        kind: One of `STREAM_KINDS`.
        shape: (T, *input shape).
        limit: Largest magnitude.
    """
    if kind in ("spikes", "dense spikes"):
        return (rng.random(shape) < (0.2 if kind == "spikes" else 0.8)).astype(np.int64)
    if kind == "largest":
        return rng.choice([-limit, 0, 0, limit - 1], size=shape)
    bound = min(limit, 128 if kind == "signed" else 2**14)
    return np.where(rng.random(shape) < 0.5, rng.integers(-bound, bound, size=shape), 0)


def decays(shape: tuple[int, ...]) -> st.SearchStrategy[int | IntArray]:
    """A decay of 0 to 4096 for all neurons, for each channel, or for each neuron."""
    one = st.one_of(st.sampled_from([0, 4096]), st.sampled_from([0, 1, 4095, 4096]), st.integers(0, 4096))
    arrays = st.tuples(generators(), st.sampled_from([shape, shape[-1:]])).map(
        lambda drawn: drawn[0].choice([0, 1, 300, 1024, 2048, 4095, 4096], size=drawn[1])
    )
    return st.one_of(one, one, arrays)


def thresholds() -> st.SearchStrategy[int]:
    """Thresholds of up to 17 bits, mostly of 7 to 12, which a few weights reach; round ones may be met exactly."""
    bits = st.one_of(st.integers(7, 12), st.integers(7, 12), st.integers(0, 17))
    return st.one_of(
        bits.flatmap(lambda n: st.integers(2**n // 2, 2**n - 1)),
        st.integers(0, 16).map(lambda n: 32 * n),
    )


def biases(shape: tuple[int, ...]) -> st.SearchStrategy[int | IntArray]:
    """No bias, one, or one for each neuron: 13 bits, mostly 8; seldom the 16 bits that Lava's CPU model takes."""
    small = generators().map(lambda rng: rng.integers(-(2**7), 2**7, size=shape))
    large = generators().map(lambda rng: rng.integers(-(2**12), 2**12, size=shape))
    extremes = st.sampled_from([-(2**15), -(2**12), 2**12 - 1, 2**15 - 1])
    return st.one_of(st.just(0), st.just(0), st.integers(-(2**7), 2**7), small, small, large, extremes)


def delays(n_source: int, n_target: int | None, longest: int) -> st.SearchStrategy[int | IntArray]:
    """One delay, or one for each source, or (if `n_target` is given) one for each weight; often none."""
    shapes = [(n_source,)] if n_target is None else [(n_source,), (n_target, n_source)]
    arrays = st.tuples(generators(), st.sampled_from(shapes), st.integers(1, longest)).map(
        lambda drawn: drawn[0].integers(0, drawn[2] + 1, size=drawn[1])
    )
    return st.one_of(st.just(0), st.just(0), st.integers(0, longest), arrays)
