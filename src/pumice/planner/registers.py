"""The words that a layer takes on each core that holds a block of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.hardware.constants import Constants
from pumice.ir.blocks import Blocks, Stored
from pumice.planner.layers import Incoming, Layer

IntArray = npt.NDArray[np.integer[Any]]
WORD_BITS = 64

COLUMNS = ("axon_in", "groups", "neurons", "synapses", "axon_map", "axon_mem")
"""Registers in the order of the table that the chip's compiler prints."""
BUDGETS = {
    "axon_in": "axon_in_words",
    "groups": "neuron_groups",
    "neurons": "state_words",
    "synapses": "synapse_words",
    "axon_map": "axon_map_words",
    "axon_mem": "axon_mem_words",
    "pool": "pool_words",
    "total": "total_words",
}
"""The constant that bounds each of them."""


@dataclass(frozen=True, eq=False)
class Registers:
    """Words of each register on each core, arrays of shape (cores,).

    Attributes:
        axon_in: Entries for arriving spikes.
        groups: Neuron groups.
        neurons: States.
        synapses: Weights.
        axon_map: Entries for leaving spikes.
        axon_mem: Entries for spikes between convolutions; a bound.
    """

    axon_in: IntArray
    groups: IntArray
    neurons: IntArray
    synapses: IntArray
    axon_map: IntArray
    axon_mem: IntArray

    @property
    def total(self) -> IntArray:
        """All six."""
        return sum((getattr(self, column) for column in COLUMNS), np.zeros_like(self.neurons))

    @property
    def pool(self) -> IntArray:
        """Those that share a memory."""
        return self.axon_in + self.synapses + self.axon_map + self.axon_mem

    def largest(self) -> dict[str, int]:
        """Of each register, of the pool and of all together, what the fullest core holds."""
        return {name: int(getattr(self, name).max()) for name in BUDGETS}

    def core(self, index: int) -> dict[str, int]:
        """What one core holds."""
        return {name: int(getattr(self, name)[index]) for name in BUDGETS}


def registers(layer: Layer, blocks: Blocks, constants: Constants) -> Registers:
    """The words that a layer takes on each core, if its population is cut into these blocks.

    With n weights of b bits on a row (and d bits of delay), 12 bits of header and, unless all places share the row,
    12 bits of index each: `words = ceil((n * (b + 12 + d) + 12) / 64)`; rows that all places share are cut into
    powers of two p, highest first: `sum over p of ceil((p * b + 12) / 64)`. Fitted to printed tables of the chip's
    compiler, see docs/plan.md.
    """
    size = blocks.sizes()
    pixels = blocks.over([*(np.bincount(of) for of in blocks.axes[:-1]), np.ones(blocks.counts[-1], np.int64)])
    axon_in, synapses = np.zeros_like(size), np.zeros_like(size)
    for incoming in layer.incoming:
        s = incoming.synapse
        stored = s.stored(incoming.source, blocks.channels(s.target_channels))
        shared = constants.words("conv_axon_in_words") * stored.rows.any(0)
        axon_in = axon_in + (shared if s.shares_weights else stored.inputs)
        synapses = synapses + stored.times @ _row_words(stored, incoming, constants)
    return Registers(
        axon_in,
        np.full_like(size, layer.groups),
        size * layer.population.state_words,
        synapses,
        size * layer.neuron_readers + pixels * layer.pixel_readers,
        np.ceil(pixels * layer.pixel_readers * constants["axon_mem_words_per_pixel"].value).astype(np.int64),
    )


def _row_words(stored: Stored, incoming: Incoming, constants: Constants) -> IntArray:
    counts = np.flatnonzero(np.bincount(stored.rows.reshape(-1), minlength=1))  # of millions of rows, few lengths
    header, index = constants.words("row_header_bits"), constants.words("index_bits")
    if incoming.synapse.shares_weights:
        words = [_shared_row_words(int(n), incoming.weight_bits, header) for n in counts]
    else:
        bits = incoming.weight_bits + index + incoming.delay_bits
        words = [-(-(int(n) * bits + header) // WORD_BITS) if n else 0 for n in counts]
    of_length = np.zeros(counts.max(initial=0) + 1, np.int64)
    of_length[counts] = words
    return of_length[stored.rows]


def _shared_row_words(n: int, bits: int, header: int) -> int:
    powers = [1 << i for i in range(n.bit_length()) if n >> i & 1]
    return sum(-(-(power * bits + header) // WORD_BITS) for power in powers)
