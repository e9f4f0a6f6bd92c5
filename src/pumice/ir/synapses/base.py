"""A linear map between populations, and what each kind states about itself."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint import sparse_accumulate
from pumice.fixedpoint.formats import DELAY_STEPS, WEIGHT, WEIGHT_EXP
from pumice.ir.blocks import Blocks, Stored, Traffic
from pumice.ir.integers import PlainIntegers
from pumice.ir.limits import Limit, out_of_range

IntArray: TypeAlias = npt.NDArray[np.integer[Any]]
Int32Array: TypeAlias = npt.NDArray[np.int32]
Shape: TypeAlias = tuple[int, ...]


class Entries(NamedTuple):
    """The non-zero weights of a synapse, one entry each.

    Attributes:
        rows: Target neuron: its number in C order within the receiving part of the target.
        columns: Source neuron: its number in C order.
        values: The weight, before the shift by `shift_bits`.
        delay_steps: Its trained delay.
    """

    rows: IntArray
    columns: IntArray
    values: IntArray
    delay_steps: IntArray


@dataclass(frozen=True, eq=False)
class Synapse(PlainIntegers, ABC):
    """A linear map from a source (the input or a population) into one population's current.

    A kind is a subclass that states its `weights`, its `problems` and its `entries`; all else that passes, checks and
    backends need to know follows from them, and a kind says it in its own way where that is cheaper or where its
    arithmetic is another. Shapes are those of the source, and of that part of the target that receives.

    A value that leaves the source in step t acts in step t + `latency_steps` + `delay_steps`.

    Attributes:
        source: Name of the input or of a population.
        target: Name of a population.
        graded: Multiply by the source's integer value; otherwise every non-zero value counts as one spike.
        balance_steps: Further delay of the whole synapse, which makes up for a longer path beside it; it counts
            as latency, while `delay_steps` are part of what the network computes.
        target_channels: (first, stop): only these channels of the target receive; all if None. Two synapses
            into disjoint ranges are a concatenation.
        part: "real" or "imag": which input of a resonator is driven.
    """

    hop_steps: ClassVar[int] = 1
    delays_each_weight: ClassVar[bool] = True
    """Whether Lava has a form of it in which weights have delays; otherwise delayed spikes pass relays."""
    shares_weights: ClassVar[bool] = False
    """Whether all places of its target share one row of weights, so that the chip sends its spikes as pixels."""
    enters_everywhere: ClassVar[bool] = True
    """Whether every block of targets has an entry for each source neuron, also where no weight leads there."""
    limits: ClassVar[Mapping[str, Limit]] = {}
    """What each field that holds numbers may hold."""

    source: str
    target: str
    graded: bool = False
    balance_steps: int = field(default=0, kw_only=True)
    target_channels: tuple[int, int] | None = field(default=None, kw_only=True)
    part: str = field(default="real", kw_only=True)

    @property
    def latency_steps(self) -> int:
        """Steps that count as latency: one for the hop, and the balance."""
        return self.hop_steps + self.balance_steps

    @property
    def is_recurrent(self) -> bool:
        """Whether the synapse feeds its own source."""
        return self.source == self.target

    @property
    def max_delay_steps(self) -> int:
        """The longest trained delay of this synapse (0 for kinds without delays)."""
        return int(np.max(getattr(self, "delay_steps", 0), initial=0))

    @property
    def shift_bits(self) -> int:
        """Left shift of the sum (0 for kinds without an exponent)."""
        return int(getattr(self, "weight_exp", 0))

    @property
    @abstractmethod
    def weights(self) -> IntArray:
        """All weights that the synapse holds, an array of any shape; empty if it has none."""

    @abstractmethod
    def problems(self, source: Shape, target: Shape) -> Iterator[str]:
        """What does not fit between two shapes, a line each; the numbers are checked by `limits`."""

    @abstractmethod
    def entries(self, source: Shape, target: Shape) -> Entries:
        """The synapse as single weights. Weights of 0 are left out."""

    def accumulate(self, sent: Int32Array, delay: int, target: Shape) -> Int32Array:
        """The definition of the synapse: what it adds to its target's activation.

        Args:
            sent: What left the source in one step, as the synapse reads it, shape of the source.
            delay: Only the weights of this trained delay act.
            target: Shape of the receiving part.

        Returns:
            The sum, modulo 2^32, shape `target`.
        """
        found = self.entries(sent.shape, target)
        now = found.delay_steps == delay
        total = sparse_accumulate(
            found.rows[now],
            found.columns[now],
            found.values[now],
            sent.reshape(-1),
            n_target=int(np.prod(target)),
            weight_exp=self.shift_bits,
        )
        return total.reshape(target)

    def sums(self, source: Shape, target: Shape) -> tuple[IntArray, IntArray]:
        """For each target neuron, the sum of its positive and of its negative weights, before the shift.

        Returns:
            Two arrays of shape `target`; bounds of them are allowed.
        """
        found = self.entries(source, target)
        positive, negative = (_added_up(found.rows, half, target) for half in halves(found.values))
        return positive, negative

    def largest_sum(self, source: Shape, target: Shape) -> int:
        """What the sizes of the weights into one target neuron add up to at most, before the shift."""
        positive, negative = self.sums(source, target)
        return int((positive - negative).max(initial=0))

    def connections(self, source: Shape, target: Shape) -> int:
        """Pairs of neurons that it joins; where weights are stored for all pairs, a weight of 0 counts."""
        return len(self.entries(source, target).values)

    def fan_out(self, source: Shape, target: Shape) -> IntArray:
        """Non-zero weights of each source neuron: the synaptic events that a spike of it causes.

        Returns:
            Shape (n_source,), neurons in C order.
        """
        return np.bincount(self.entries(source, target).columns, minlength=math.prod(source))

    def stored(self, source: Shape, blocks: Blocks) -> Stored:
        """What is kept beside each block of targets; as single weights, none of them 0, if a kind says no more.

        Args:
            source: Shape of the source.
            blocks: Of the receiving part of the target.
        """
        rows = self._onto(source, blocks)
        inputs = np.full(blocks.n, len(rows)) if self.enters_everywhere else np.count_nonzero(rows, axis=0)
        return Stored(rows, np.ones(len(rows), np.int64), inputs)

    def traffic(self, sent: npt.NDArray[np.bool_], blocks: Blocks) -> Traffic:
        """What spikes cost beside each block of targets.

        Args:
            sent: Which neurons of the source sent something, shape (T, *source).
            blocks: Of the receiving part of the target.
        """
        rows = self._onto(sent.shape[1:], blocks)
        spikes = sent.reshape(len(sent), -1).astype(np.float64)  # products of float64 are fast, and exact here
        arriving = np.ones_like(rows) if self.enters_everywhere else rows > 0
        return Traffic(spikes @ rows.astype(np.float64), spikes @ arriving.astype(np.float64))

    def _onto(self, source: Shape, blocks: Blocks) -> IntArray:
        """Weights of each source neuron onto each block, shape (n_source, blocks)."""
        n_source = int(np.prod(source))
        found = self.entries(source, blocks.shape)
        place = found.columns * blocks.n + blocks.numbers().reshape(-1)[found.rows]
        return np.bincount(place, minlength=n_source * blocks.n).reshape(n_source, blocks.n)

    def without_zeros(self) -> Synapse:
        """The same map without those stored weights of 0 that need not be stored."""
        return self

    def all_problems(self, source: Shape, target: Shape) -> Iterator[str]:
        """`problems`, and the numbers that lie outside `limits`."""
        found = [*out_of_range("balance_steps", self.balance_steps, *DELAY_STEPS), *self.problems(source, target)]
        for label, limit in self.limits.items():
            found += out_of_range(label, getattr(self, label), limit.low, limit.high)
        yield from found
        if not found and (longest := self.max_delay_steps + self.balance_steps) > DELAY_STEPS.high:
            yield f"delay_steps and balance_steps together must not exceed {DELAY_STEPS.high}, got {longest}"


def _added_up(rows: IntArray, values: IntArray, target: Shape) -> IntArray:
    total = np.zeros(int(np.prod(target)), np.int64)
    np.add.at(total, rows, values)
    return total.reshape(target)


def halves(weight: Any) -> tuple[IntArray, IntArray]:
    """The positive and the negative weights, the others 0."""
    wide = np.asarray(weight, np.int64)
    return np.maximum(wide, 0), np.minimum(wide, 0)


def delayed_by(delay_steps: int | IntArray, delay: int, sent: Int32Array) -> Int32Array:
    """Those values whose source channel has this delay; 0 elsewhere."""
    return np.where(np.equal(delay_steps, delay), sent, 0).astype(np.int32, copy=False)


def channel_delay_problems(source: Shape, delay_steps: int | IntArray) -> Iterator[str]:
    """A line if delays are neither one number nor one per channel of the source."""
    if np.shape(delay_steps) not in ((), source[-1:]):
        yield f"delay_steps must be one number or one per channel {source[-1:]}, got {np.shape(delay_steps)}"


def non_zero(rows: Any, columns: Any, values: Any, delay_steps: Any) -> Entries:
    """Entries of arrays that broadcast against each other, without the weights of 0."""
    arrays = np.broadcast_arrays(rows, columns, values, delay_steps)
    flat = [np.asarray(array, np.int64).reshape(-1) for array in arrays]
    kept = flat[2] != 0
    return Entries(*(array[kept] for array in flat))


WEIGHT_LIMITS = {
    "weight": Limit(*WEIGHT),
    "weight_exp": Limit(*WEIGHT_EXP),
    "delay_steps": Limit(*DELAY_STEPS),
}
"""Weights of 8 bits and an exponent, and trained delays."""
