"""The input as a population's current."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pumice.ir.blocks import Blocks, Stored, Traffic
from pumice.ir.synapses.base import Entries, Int32Array, IntArray, Shape, Synapse, non_zero


@dataclass(frozen=True, eq=False)
class Direct(Synapse):
    """The input's values are the target's current, in the same step (NetX: an input layer with neurons)."""

    hop_steps: ClassVar[int] = 0

    @property
    def weights(self) -> IntArray:
        """None."""
        return np.zeros(0, np.int64)

    def problems(self, source: Shape, target: Shape) -> Iterator[str]:
        """Shapes must be equal, and nothing may come between."""
        if self.balance_steps or self.target_channels:
            yield "a direct input has no delay and feeds the whole population"
        if source != target:
            yield f"shapes must be equal, got {source} and {target}"

    def entries(self, source: Shape, target: Shape) -> Entries:
        """A weight of 1 for each neuron."""
        neurons = np.arange(int(np.prod(source)))
        return non_zero(neurons, neurons, 1, 0)

    def accumulate(self, sent: Int32Array, delay: int, target: Shape) -> Int32Array:
        """What was sent."""
        return sent

    def sums(self, source: Shape, target: Shape) -> tuple[IntArray, IntArray]:
        """1 and 0."""
        return np.ones(target, np.int64), np.zeros(target, np.int64)

    def connections(self, source: Shape, target: Shape) -> int:
        """One for each neuron."""
        return int(np.prod(source))

    def fan_out(self, source: Shape, target: Shape) -> IntArray:
        """None: there are no synapses."""
        return np.zeros(int(np.prod(source)), np.int64)

    def stored(self, source: Shape, blocks: Blocks) -> Stored:
        """Nothing: values become the neurons' bias."""
        return Stored(np.zeros((0, blocks.n), np.int64), np.zeros(0, np.int64), np.zeros(blocks.n, np.int64))

    def traffic(self, sent: npt.NDArray[np.bool_], blocks: Blocks) -> Traffic:
        """None."""
        return Traffic(np.zeros((len(sent), blocks.n)), np.zeros((len(sent), blocks.n)))
