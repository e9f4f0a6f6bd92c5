"""Synapses written out as single weights between neurons, both ends flattened in C order as Lava's ports are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pumice.errors import BackendError
from pumice.ir import Graph, OneToOne, Sparse, TokenMixing, unflatten_whc
from pumice.ir.kinds import rule_for

IntArray = npt.NDArray[np.integer[Any]]
Shape = tuple[int, ...]


class SingleWeights(NamedTuple):
    """One entry per weight: its target and source neuron, its value, and its delay with the balance in it."""

    rows: IntArray
    columns: IntArray
    values: IntArray
    delays: IntArray

    def layers(self) -> Iterator[SingleWeights]:
        """Split so that no place occurs twice in a layer: a matrix has one value and one delay at each."""
        order = np.lexsort((self.columns, self.rows))
        places = np.stack([self.rows[order], self.columns[order]])
        starts = np.flatnonzero(np.any(np.diff(places, axis=1, prepend=-1) != 0, axis=0))
        nth = np.empty(order.size, np.int64)
        nth[order] = np.arange(order.size) - np.repeat(starts, np.diff(starts, append=order.size))
        for layer in range(int(nth.max(initial=0)) + 1):
            yield SingleWeights(*(array[nth == layer] for array in self))


def unroll(graph: Graph, synapse: Sparse | OneToOne | TokenMixing) -> SingleWeights:
    """All weights of a synapse.

    Args:
        graph: Knows the shapes.
        synapse: Of one of the kinds that become a Lava `Sparse`.

    Example:
        >>> from pumice.ir.builder import chain
        >>> synapse = OneToOne("dense0", "dense1", weight=4, balance_steps=2)
        >>> unroll(chain((1,), [2, 2], seed=0), synapse)
        SingleWeights(rows=array([0, 1]), columns=array([0, 1]), values=array([4, 4]), delays=array([2, 2]))
    """
    source, target = graph.shape_of(synapse.source), graph.shape_of(synapse.target)
    targets = np.arange(int(np.prod(target))).reshape(target)
    if synapse.target_channels is not None:
        targets = targets[..., slice(*synapse.target_channels)]
    sources = np.arange(int(np.prod(source))).reshape(source)
    found: Arrays = rule_for(_RULES, synapse, "single weights", BackendError)(synapse, sources, targets)
    rows, columns, values, delays = (np.broadcast_to(a, found[0].shape).reshape(-1) for a in found)
    kept = values != 0
    return SingleWeights(rows[kept], columns[kept], values[kept], delays[kept] + synapse.balance_steps)


Arrays = tuple[IntArray, IntArray, IntArray, IntArray]


def _sparse(s: Sparse, sources: IntArray, targets: IntArray) -> Arrays:
    return _whc(targets)[s.rows], _whc(sources)[s.columns], s.values, np.asarray(s.delay_steps)


def _whc(numbers: IntArray) -> IntArray:
    """Number in C order of each neuron in the graph's order, `flatten_whc`."""
    return numbers.transpose(2, 1, 0).reshape(-1) if numbers.ndim == 3 else numbers


def _one_to_one(s: OneToOne, sources: IntArray, targets: IntArray) -> Arrays:
    return targets, sources, np.asarray(s.weight), np.asarray(s.delay_steps)


def _token_mixing(s: TokenMixing, sources: IntArray, targets: IntArray) -> Arrays:
    """Arrays of shape (target token, source token, channel)."""
    heads, tokens, _ = s.weight.shape
    channels = sources.shape[2]
    token_order = unflatten_whc(np.arange(tokens), (*sources.shape[:2], 1)).reshape(-1)
    by_token = np.argsort(token_order)
    rows = targets.reshape(tokens, channels)[by_token]
    columns = sources.reshape(tokens, channels)[by_token]
    values = np.repeat(s.weight.transpose(1, 2, 0), channels // heads, axis=2)
    shape = (tokens, tokens, channels)
    return np.broadcast_to(rows[:, None], shape), columns[None], values, np.asarray(s.delay_steps)


_RULES: dict[type[Any], Any] = {Sparse: _sparse, OneToOne: _one_to_one, TokenMixing: _token_mixing}
