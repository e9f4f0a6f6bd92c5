"""All to all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint import dense_accumulate
from pumice.ir.blocks import Blocks, Stored, Traffic
from pumice.ir.layout import flatten_whc
from pumice.ir.synapses.base import (
    WEIGHT_LIMITS,
    Entries,
    Int32Array,
    IntArray,
    Shape,
    Synapse,
    halves,
    non_zero,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Dense(Synapse):
    """All to all: current += (weight @ source) * 2^weight_exp.

    A source of shape (x, y, channel) is flattened channel first, then y, then x (`flatten_whc`): the order
    of PyTorch's and NetX's flatten. The target has one dimension.

    Attributes:
        weight: Integers, shape (n_target, n_source).
        weight_exp: Left shift of the sum, 0 to 7.
        delay_steps: 0 to 62: one number, one per source neuron (n_source,), or one per weight.
    """

    limits: ClassVar = WEIGHT_LIMITS

    weight: IntArray
    weight_exp: int = 0
    delay_steps: int | IntArray = 0

    @property
    def weights(self) -> IntArray:
        """The matrix."""
        return np.asarray(self.weight)

    def problems(self, source: Shape, target: Shape) -> Iterator[str]:
        """The matrix has a row for each target and a column for each source neuron."""
        expected = (int(np.prod(target)), int(np.prod(source)))
        if len(target) != 1:
            yield f"a dense synapse ends in a population of one dimension, got {target}"
        if self.weight.shape != expected:
            yield f"weight must have shape (n_target, n_source) = {expected}, got {self.weight.shape}"
        if np.shape(self.delay_steps) not in ((), (expected[1],), expected):
            yield (
                f"delay_steps must be one number, one per source neuron ({expected[1]},) or one per weight "
                f"{expected}, got shape {np.shape(self.delay_steps)}"
            )

    def entries(self, source: Shape, target: Shape) -> Entries:
        """Each weight, its column's neuron counted in the order of `flatten_whc`."""
        columns = flatten_whc(np.arange(int(np.prod(source))).reshape(source))
        return non_zero(np.arange(len(self.weight))[:, None], columns, self.weight, self.delay_steps)

    def accumulate(self, sent: Int32Array, delay: int, target: Shape) -> Int32Array:
        """The product of the matrix and what was sent, flattened."""
        weight = np.where(np.equal(self.delay_steps, delay), self.weight, 0)
        return dense_accumulate(weight, flatten_whc(sent), self.weight_exp)

    def sums(self, source: Shape, target: Shape) -> tuple[IntArray, IntArray]:
        """Of the matrix's rows."""
        positive, negative = (half.sum(1) for half in halves(self.weight))
        return positive, negative

    def connections(self, source: Shape, target: Shape) -> int:
        """The whole matrix."""
        return self.weight.size

    def fan_out(self, source: Shape, target: Shape) -> IntArray:
        """Of the matrix's columns, in the order of the source."""
        counts = np.empty(self.weight.shape[1], np.int64)
        counts[flatten_whc(np.arange(len(counts)).reshape(source))] = np.count_nonzero(self.weight, axis=0)
        return counts

    def stored(self, source: Shape, blocks: Blocks) -> Stored:
        """The rows of the matrix, zeros too."""
        n_source = int(np.prod(source))
        return Stored(blocks.sizes()[None], np.array([n_source]), np.full(blocks.n, n_source))

    def traffic(self, sent: npt.NDArray[np.bool_], blocks: Blocks) -> Traffic:
        """Each spike meets all weights of its neuron."""
        arriving = sent.reshape(len(sent), -1).astype(np.float64) @ np.ones((sent[0].size, blocks.n))
        operations: npt.NDArray[np.float64] = arriving * blocks.sizes()
        return Traffic(operations, arriving)
