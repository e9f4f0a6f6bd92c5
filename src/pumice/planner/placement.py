"""Which neurons lie on which core, and everything that stands against it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pumice.errors import GraphError
from pumice.hardware import passes_pixels, register_violations, reset_violations, wide_images
from pumice.hardware.constants import Board
from pumice.hardware.violation import Violation
from pumice.ir import Graph, check_known, latencies
from pumice.names import counted
from pumice.planner.layers import Layer, layer_of, layers_of, with_relays
from pumice.planner.split import Rules, Split, split


@dataclass(frozen=True, eq=False)
class Placed:
    """A layer on its cores.

    Attributes:
        layer: The population and its synapses.
        split: How it is cut; its blocks lie on consecutive cores.
        first_core: Number of the first of them, cores of all chips counted through.
        repeats: Of a relay that the graph does not have, the population whose spikes it repeats.
    """

    layer: Layer
    split: Split
    first_core: int
    repeats: str | None = None

    @property
    def name(self) -> str:
        """Of the population."""
        return self.layer.population.name

    @property
    def cores(self) -> int:
        """How many it takes."""
        return self.split.blocks.n


@dataclass(frozen=True, eq=False)
class Placement:
    """A graph on a board.

    Attributes:
        layers: Those that can be placed, in the graph's order.
        cores: How many cores they take.
        chips: How many chips that is.
        complete: Whether every layer is among them.
        violations: What does not fit.
        warnings: What fits and may still go wrong.
    """

    layers: tuple[Placed, ...]
    cores: int
    chips: int
    complete: bool
    violations: tuple[Violation, ...]
    warnings: tuple[str, ...]


def place(graph: Graph, rules: Rules, board: Board) -> Placement:
    """Lay a graph out on the cores of a board: each layer begins on a core of its own, in the graph's order.

    Args:
        graph: A valid graph.
        rules: Budgets and compiler.
        board: Where it is to run.

    Raises:
        GraphError: A kind of population or synapse that is not known.
    """
    layers, refused = _place_layers(graph, rules)
    first = sum(placed.cores for placed in layers)
    per_chip = rules.constants.words("cores_per_chip")
    against = [*register_violations(graph), *reset_violations(graph), *refused]
    if not refused:
        against += [*_board(first, per_chip, board), *_adapters(graph, layers, per_chip)]
    warnings = tuple(_wide_inputs(graph, rules.constants.words("conv_input_width")))
    return Placement(layers, first, math.ceil(first / per_chip), not refused, tuple(against), warnings)


def unplaceable(graph: Graph, rules: Rules) -> tuple[Violation, ...]:
    """The populations that no core can hold, however they are split; boards and registers aside.

    Args:
        graph: A valid graph.
        rules: Budgets and compiler.

    Raises:
        GraphError: A kind of population or synapse that is not known.
    """
    return tuple(_place_layers(graph, rules)[1])


def cores_needed(graph: Graph, name: str, rules: Rules) -> int | None:
    """How many cores one population of a graph takes; None if it fits none, however it is split.

    Args:
        graph: A valid graph.
        name: Of the population.
        rules: Budgets and compiler.
    """
    expanded, _ = with_relays(graph)
    found = split(layer_of(expanded, expanded.population(name)), rules)
    return None if isinstance(found, Violation) else found.blocks.n


def _place_layers(graph: Graph, rules: Rules) -> tuple[tuple[Placed, ...], list[Violation]]:
    check_known(graph)
    expanded, repeats = with_relays(graph)
    found: list[Placed] = []
    refused: list[Violation] = []
    for layer in layers_of(expanded):
        result = split(layer, rules)
        if isinstance(result, Violation):
            refused.append(result)
        else:
            first = found[-1].first_core + found[-1].cores if found else 0
            found.append(Placed(layer, result, first, repeats.get(layer.population.name)))
    return tuple(found), refused


# Rules about the whole graph, each with its source.


def _board(cores: int, per_chip: int, board: Board) -> Iterator[Violation]:
    """The cores of the board."""
    if cores > board.chips * per_chip:
        yield Violation(
            "network",
            "cores",
            f"{cores:,} on {counted(math.ceil(cores / per_chip), 'chip')}",
            f"{board.chips * per_chip:,} ({board.title})",
            "Choose a larger board (--board), or make the network smaller.",
        )


def _adapters(graph: Graph, layers: tuple[Placed, ...], per_chip: int) -> Iterator[Violation]:
    """An adapter cannot feed or read a dense layer on two chips (lava-nc `mapper.py`: "MultiChip Not Supported")."""
    for placed in layers:
        p = placed.layer.population
        last = placed.first_core + placed.cores - 1
        fed = [i for i in placed.layer.incoming if i.synapse.source == graph.input.name]
        has_adapter = not all(passes_pixels(i.synapse, i.source) for i in fed) or (
            p.name in graph.outputs and len(p.shape) == 1
        )
        if has_adapter and placed.first_core // per_chip != last // per_chip:
            yield Violation(
                f"population {p.name}",
                "adapter",
                f"cores {placed.first_core} to {last} on two chips",
                "one chip",
                "Lava's adapters do not reach a dense layer on two chips: make it or what comes before it smaller.",
            )


def _wide_inputs(graph: Graph, widest: int) -> Iterator[str]:
    for where, width in wide_images(graph, widest):
        yield (
            f"{where}: the input of the convolution is {width} wide; the compiler warns that beyond {widest} spikes "
            f"at multiples of {widest} may be dropped"
        )


def latency_steps(graph: Graph) -> int | None:
    """Steps from the input to the slowest output; None where paths of different length meet."""
    try:
        steps = latencies(graph)
    except GraphError:
        return None
    return max(steps[name] for name in graph.outputs)
