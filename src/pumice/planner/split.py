"""Into which blocks a layer is cut, so that each fits one core: the rules of the chip's compilers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np

from pumice.hardware.constants import Constants
from pumice.hardware.violation import Violation
from pumice.ir import Dense
from pumice.ir.blocks import Blocks
from pumice.names import counted
from pumice.planner.layers import Layer
from pumice.planner.registers import BUDGETS, Registers, registers

Shape = tuple[int, ...]
MOST_BLOCKS = 2048
"""A layer on more cores than this is not planned: no board is near it, and every block is looked at."""


class Compiler(Enum):
    """Whose rules: how neurons of one dimension are cut, and how many words of synapses a core has."""

    SINCE_2023 = "2023"
    UNTIL_2022 = "2022"


@dataclass(frozen=True)
class Rules:
    """What a core can hold, and who cuts.

    Attributes:
        constants: Budgets and formats.
        compiler: The chip's compiler that is followed.
    """

    constants: Constants
    compiler: Compiler = Compiler.SINCE_2023

    def limit(self, register: str) -> int:
        """Budget of a register of a core."""
        constant = self.constants[BUDGETS[register]]
        old = register == "synapses" and self.compiler is Compiler.UNTIL_2022
        return int(constant.low if old else constant.value)


@dataclass(frozen=True, eq=False)
class Split:
    """How a layer is cut.

    Attributes:
        tile: Neurons along each axis of a block.
        blocks: All of them.
        registers: What each takes.
    """

    tile: Shape
    blocks: Blocks
    registers: Registers


def split(layer: Layer, rules: Rules) -> Split | Violation:
    """Cut a layer into blocks, or say why it cannot be.

    Neurons of one dimension (compilers since 2023): from as many as the states' register holds, n becomes
    `n // ceil(worst ratio of need to limit)` until all registers are within their limits; cores are filled in order.
    Those of 2022 cut into equal pieces, whose number is multiplied by that ratio.
    Images: as many channels as fit (all, or halves of them), a power of two of columns, and all rows or halves;
    of the tiles that fit, one with the fewest cores and of those one with the shortest border.

    Args:
        layer: A population and its synapses.
        rules: Budgets and compiler.
    """
    shape = layer.population.shape
    if refused := _one_neuron(layer, rules, (0,) * len(shape)):
        return refused
    tiles = _image_tiles(shape, layer.population.state_words, rules) if len(shape) == 3 else None
    if tiles is None:
        found = _pieces(layer, rules) if rules.compiler is Compiler.UNTIL_2022 else _ranges(layer, rules)
    else:
        found = next((s for s in (_cut(layer, tile, rules) for tile in tiles) if _worst(s, rules) <= 1), None)
    return (
        found
        or _one_neuron(layer, rules, _heaviest(layer))
        or Violation(
            f"population {layer.population.name}",
            "cores",
            f"more than {MOST_BLOCKS:,} cores of its own",
            f"{MOST_BLOCKS:,}",
            "Give it fewer inputs or neurons.",
        )
    )


def _cut(layer: Layer, tile: Shape, rules: Rules) -> Split:
    blocks = Blocks.cut(layer.population.shape, tile)
    return Split(tile, blocks, registers(layer, blocks, rules.constants))


def _worst(found: Split, rules: Rules) -> float:
    """The largest ratio of what a core needs to what it has."""
    return max(n / rules.limit(name) for name, n in found.registers.largest().items())


def _ranges(layer: Layer, rules: Rules) -> Split | None:
    size = layer.population.size
    n = rules.limit("neurons") // layer.population.state_words
    while n >= 1 and math.ceil(size / n) <= MOST_BLOCKS:
        found = _cut(layer, (min(n, size),), rules)
        if (ratio := _worst(found, rules)) <= 1:
            return found
        n //= math.ceil(ratio)
    return None


def _pieces(layer: Layer, rules: Rules) -> Split | None:
    size, pieces = layer.population.size, 1
    while pieces <= min(size, MOST_BLOCKS):
        found = _cut(layer, (math.ceil(size / pieces),), rules)
        if (ratio := _worst(found, rules)) <= 1:
            return found
        pieces *= math.ceil(ratio)
    return None


def _image_tiles(shape: Shape, state_words: int, rules: Rules) -> Iterator[Shape]:
    """Tiles to be tried, in that order; a tile of a power of two takes its padding's states too."""
    width, height, channels = shape
    columns = [1 << i for i in range((width - 1).bit_length() + 1)]
    for c in _halves(channels):
        fitting = [
            (x, y, c) for x in columns for y in _halves(height) if x * y * c * state_words <= rules.limit("neurons")
        ]
        yield from (
            tile for _, _, tile in sorted((_cores(shape, tile), tile[0] + tile[1], tile) for tile in fitting)
            if _cores(shape, tile) <= MOST_BLOCKS
        )  # fmt: skip


def _halves(n: int) -> list[int]:
    return [*dict.fromkeys(math.ceil(n / (1 << i)) for i in range(n.bit_length() + 1))]


def _cores(shape: Shape, tile: Shape) -> int:
    return math.prod(math.ceil(n / size) for n, size in zip(shape, tile, strict=True))


def _heaviest(layer: Layer) -> Shape:
    """The neuron with the most weights of its own; where all places share a kernel, it has none."""
    weights = np.zeros(layer.population.shape, np.int64)
    for i in layer.incoming:
        s = i.synapse
        part = weights if s.target_channels is None else weights[..., slice(*s.target_channels)]
        if isinstance(s, Dense):  # the same for all, and too many to be listed
            part += math.prod(i.source)
        elif not s.shares_weights:
            rows = s.entries(i.source, part.shape).rows
            part += np.bincount(rows, minlength=part.size).reshape(part.shape)
    return tuple(int(n) for n in np.unravel_index(np.argmax(weights), weights.shape))


def _one_neuron(layer: Layer, rules: Rules, neuron: Shape) -> Violation | None:
    """What makes even a core that holds this neuron alone too small."""
    p = layer.population
    axes = tuple((np.arange(n) != at).astype(np.int64) for n, at in zip(p.shape, neuron, strict=True))
    alone = registers(layer, Blocks(axes, tuple(min(n, 2) for n in p.shape)), rules.constants).core(0)
    over = [name for name, n in alone.items() if n > rules.limit(name)]
    if not over:
        return None
    name = "pool" if "pool" in over else over[0]
    synapses = [(i.synapse, math.prod(i.source)) for i in layer.incoming]
    inputs = sum(n for s, n in synapses if s.enters_everywhere and not s.shares_weights and s.weights.size)
    pool = rules.limit("pool")
    if alone["axon_map"] + alone["axon_mem"] > pool // 2:
        why, remedy = f"which {counted(layer.pixel_readers, 'convolution')} read", "Let fewer populations read it."
    elif 2 * inputs > pool // 2:
        why = f"for {inputs:,} inputs"
        remedy = (
            f"A layer of single weights can have at most about {pool // 2:,} inputs, however it is split: let "
            f"relays sum them in parts, at the price of one more step (pumice.lower for the chip does, from images "
            f"and from up to {pool:,} inputs of one dimension; planner.fit_cores for a graph), or pool before it."
        )
    else:
        why = "for a kernel, which each core holds whole"
        remedy = "Use a smaller kernel, or fewer channels before it."
    return Violation(
        f"population {p.name}",
        "pool of axon-in, synapses, axon map and axon memory" if name == "pool" else name.replace("_", "-"),
        f"{alone[name]:,} words on a core with a single neuron, {why}",
        f"{rules.limit(name):,}",
        remedy,
    )
