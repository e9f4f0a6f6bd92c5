"""What the backend battery runs on what: groups of cases with their streams, and edges of the input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.testing.battery_cases import (
    SHAPE,
    Cases,
    N,
    binary_cases,
    population_cases,
    synapse_cases,
    threshold_cases,
    weight_cases,
)
from pumice.testing.battery_shapes import flat_cases, topology_cases, value_cases

IntArray = npt.NDArray[np.integer[Any]]

STEPS = 24
LONG = 70
"""Longer than the longest delay."""
MANY = 2100
"""More steps than a backend may compute at a time."""
GRADED = ("plain", "_delays_and_balance", "weight_exp")
"""Delays do not depend on what is delayed, so values go through fewer of them than spikes."""


def spikes(n_steps: int) -> IntArray:
    """Three in ten entries."""
    return (np.random.default_rng(0).random((n_steps, *SHAPE)) < 0.3).astype(np.int64)


def values(limit: int, n_steps: int = STEPS) -> IntArray:
    """Four in ten entries, of -limit to limit - 1."""
    rng = np.random.default_rng(1)
    shape = (n_steps, *SHAPE)
    return np.where(rng.random(shape) < 0.4, rng.integers(-limit, limit, size=shape), 0)


def _plain_cases() -> Cases:
    return _with_endings(synapse_cases(graded=False), ("plain",))


def _with_endings(cases: Cases, endings: tuple[str, ...]) -> Cases:
    return {name: graph for name, graph in cases.items() if name.endswith(endings)}


def _large_inputs() -> Cases:
    """24-bit values, for what is defined on them: on Lava a sum is 32 bits wide, a convolution's 24."""
    plain = {"dense_plain", "sparse_plain", "one_to_one_plain", "token_mixing_plain", "conv_plain", "dense_delays"}
    cases = {name: graph for name, graph in synapse_cases(graded=True).items() if name in plain}
    kinds = ("cuba_decays", "cuba_per_channel", "cuba_unreachable", "accumulator", "sigma", "delta", "resonator")
    return cases | {name: graph for name, graph in population_cases().items() if name.startswith(kinds)}


GROUPS: dict[str, tuple[Callable[[], Cases], Callable[[], IntArray]]] = {
    "synapses on spikes": (lambda: synapse_cases(graded=False), lambda: spikes(LONG)),
    "synapses on values": (lambda: _with_endings(synapse_cases(graded=True), GRADED), lambda: values(128)),
    "values that count as spikes": (_plain_cases, lambda: values(128)),
    "weights and kernels": (weight_cases, lambda: values(128)),
    "spikes only": (lambda: binary_cases() | threshold_cases(), lambda: spikes(STEPS)),
    "populations": (population_cases, lambda: values(128)),
    "wraps and clips": (_large_inputs, lambda: values(2**17)),
    "24-bit input": (lambda: {"direct": weight_cases()["direct"]}, lambda: values(2**23)),
    "topology": (topology_cases, lambda: spikes(STEPS)),
    "values between populations": (value_cases, lambda: values(128)),
}
"""What is packed into one graph: name -> (cases, stream)."""

EDGES: dict[str, IntArray] = {
    "silence": np.zeros((8, *SHAPE), np.int64),
    "all neurons spike": np.ones((12, *SHAPE), np.int64),
    "one step": np.ones((1, *SHAPE), np.int64),
}


def edge_cases() -> Cases:
    """What the edges of the input are tried with."""
    kinds = ("cuba_reset_5_3", "accumulator_bias", "sigma", "delta_3_5", "sigma_delta_3_5", "resonator")
    populations = {name: graph for name, graph in population_cases().items() if name in kinds}
    return _plain_cases() | binary_cases() | populations | small_cases()


def small_cases() -> Cases:
    """What runs of any kind can be tried with."""
    return {name: topology_cases()[name] for name in ("two_outputs", "loop_of_two")}


def batch_cases() -> Cases:
    """Loops, resets and what is never reset."""
    kinds = ("cuba_reset_5_3", "accumulator_bias")
    return small_cases() | {name: population_cases()[name] for name in kinds}


def promised_cases(low: int, high: int) -> Cases:
    """Sums that are proved from what the input promises: narrow integers or floats may hold them, and no narrower."""
    cases = _with_endings(synapse_cases(graded=True), ("plain", "weight_exp")) | weight_cases()
    cases |= {name: population_cases()[name] for name in ("cuba_decays_of_the_current", "accumulator")}
    return _promised(cases, low, high)


def _promised(cases: Cases, low: int, high: int) -> Cases:
    return {name: graph.replace(input=replace(graph.input, value_range=(low, high))) for name, graph in cases.items()}


def _extremes(low: int, high: int, shape: tuple[int, ...] = SHAPE) -> IntArray:
    """Both ends in all places, then either end or nothing."""
    rng = np.random.default_rng(2)
    ends = np.stack([np.full(shape, low), np.full(shape, high)] * 2)
    return np.concatenate([ends, rng.choice([low, 0, high, high], size=(STEPS, *shape))])


PROMISES: dict[str, tuple[Callable[[], Cases], Callable[[], IntArray]]] = {
    "spikes": (lambda: promised_cases(0, 1), lambda: _extremes(0, 1)),
    "values": (lambda: promised_cases(-128, 127), lambda: _extremes(-128, 127)),
    "bytes of one dimension": (lambda: _promised(flat_cases(), 0, 255), lambda: _extremes(0, 255, (N,))),
}
"""What the input promises: name -> (cases, stream)."""
