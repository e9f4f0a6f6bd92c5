"""Synapses written out as single weights between neurons, both ends flattened in C order as Lava's ports are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pumice.ir import Graph, Synapse

IntArray = npt.NDArray[np.integer[Any]]


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


def unroll(graph: Graph, synapse: Synapse) -> SingleWeights:
    """All weights of a synapse, targets numbered in the whole population.

    Example:
        >>> from pumice.ir import OneToOne
        >>> from pumice.ir.builder import chain
        >>> synapse = OneToOne("dense0", "dense1", weight=4, balance_steps=2)
        >>> unroll(chain((1,), [2, 2], seed=0), synapse)
        SingleWeights(rows=array([0, 1]), columns=array([0, 1]), values=array([4, 4]), delays=array([2, 2]))
    """
    target = graph.shape_of(synapse.target)
    targets = np.arange(int(np.prod(target))).reshape(target)
    if synapse.target_channels is not None:
        targets = targets[..., slice(*synapse.target_channels)]
    found = synapse.entries(*graph.ends_of(synapse))
    rows = targets.reshape(-1)[found.rows]
    return SingleWeights(rows, found.columns, found.values, found.delay_steps + synapse.balance_steps)
