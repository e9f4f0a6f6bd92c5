"""Single weights between neurons."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from pumice.fixedpoint import sparse_accumulate
from pumice.fixedpoint.formats import DELAY_STEPS, WEIGHT, WEIGHT_EXP
from pumice.ir.layout import flatten_whc, unflatten_whc
from pumice.ir.limits import Limit, out_of_range
from pumice.ir.synapses.base import Entries, Int32Array, IntArray, Shape, Synapse, non_zero


@dataclass(frozen=True, eq=False, kw_only=True)
class Sparse(Synapse):
    """Single weights between neurons; both ends are flattened like a dense synapse's source (`flatten_whc`).

    Attributes:
        rows: Target neuron of each weight, shape (n,).
        columns: Source neuron of each weight, shape (n,).
        values: Integers, shape (n,).
        weight_exp: Left shift of the sum, 0 to 7.
        delay_steps: 0 to 62: one number, or one per weight (n,).
    """

    limits: ClassVar = {
        "values": Limit(*WEIGHT),
        "weight_exp": Limit(*WEIGHT_EXP),
        "delay_steps": Limit(*DELAY_STEPS),
    }

    rows: IntArray
    columns: IntArray
    values: IntArray
    weight_exp: int = 0
    delay_steps: int | IntArray = 0

    @property
    def weights(self) -> IntArray:
        """The values."""
        return np.asarray(self.values)

    def problems(self, source: Shape, target: Shape) -> Iterator[str]:
        """Each weight has its place."""
        n = self.values.shape
        if len(n) != 1 or self.rows.shape != n or self.columns.shape != n:
            yield (
                f"rows, columns and values must have one length, got {self.rows.shape}, {self.columns.shape} and {n}"
            )
            return
        yield from out_of_range("rows", self.rows, 0, int(np.prod(target)) - 1)
        yield from out_of_range("columns", self.columns, 0, int(np.prod(source)) - 1)
        if np.shape(self.delay_steps) not in ((), n):
            yield f"delay_steps must be one number or one per weight {n}, got shape {np.shape(self.delay_steps)}"

    def entries(self, source: Shape, target: Shape) -> Entries:
        """As it is, both ends counted in the order of `flatten_whc`."""
        to, start = (flatten_whc(np.arange(int(np.prod(shape))).reshape(shape)) for shape in (target, source))
        return non_zero(to[self.rows], start[self.columns], self.values, self.delay_steps)

    def accumulate(self, sent: Int32Array, delay: int, target: Shape) -> Int32Array:
        """The product of the sparse matrix and what was sent, flattened."""
        now = np.full(self.values.shape, delay) == self.delay_steps
        total = sparse_accumulate(
            self.rows[now],
            self.columns[now],
            self.values[now],
            flatten_whc(sent),
            n_target=math.prod(target),
            weight_exp=self.weight_exp,
        )
        return unflatten_whc(total, target)

    def without_zeros(self) -> Synapse:
        """Without the stored zeros."""
        kept = self.values != 0
        if np.all(kept):
            return self
        delays = self.delay_steps if np.ndim(self.delay_steps) == 0 else np.asarray(self.delay_steps)[kept]
        return replace(
            self,
            rows=self.rows[kept],
            columns=self.columns[kept],
            values=self.values[kept],
            delay_steps=delays,
        )
