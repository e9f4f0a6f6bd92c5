"""The kinds of populations and synapses that there are, and how whoever treats each in its own way finds its rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pumice.errors import GraphError, PumiceError
from pumice.ir.graph import Graph
from pumice.ir.own_kinds import population_kinds, synapse_kinds
from pumice.ir.populations import Population
from pumice.ir.synapses import Synapse

T = TypeVar("T")


def check_known(graph: Graph) -> None:
    """Refuse a graph that holds a kind of population or synapse that is neither the package's nor registered.

    Passes, checks and counts call it first: none of them can say what a kind that it has never heard of does. A
    subclass is a kind of its own.

    Raises:
        GraphError: One line, which names the kind and its place.

    Example:
        >>> from pumice.ir.builder import chain
        >>> check_known(chain((4,), [3], seed=0))
    """
    for population in graph.populations:
        if type(population) not in population_kinds():
            raise GraphError(unknown_kind(population, population_kinds()))
    for synapse in graph.synapses:
        if type(synapse) not in synapse_kinds():
            raise GraphError(unknown_kind(synapse, synapse_kinds()))


def rule_for(
    rules: Mapping[type[Any], T], value: Population | Synapse, whose: str, error: type[PumiceError] = GraphError
) -> T:
    """What a table holds for the kind of a population or synapse; a kind that is missing there is an error.

    Args:
        rules: For each kind, something.
        value: A population or synapse.
        whose: Who has the table, for the message.
        error: What to raise.

    Raises:
        GraphError: The table has nothing for this kind (or another error, if given).

    Example:
        >>> from pumice.ir import Conv, Dense
        >>> rule_for({Dense: "all to all"}, Conv("a", "b", weight=1), "the figure of weights")
        Traceback (most recent call last):
        pumice.errors.GraphError: synapse a -> b: unknown kind Conv in the figure of weights; known: Dense
    """
    if type(value) not in rules:
        raise error(unknown_kind(value, rules, whose))
    return rules[type(value)]


def unknown_kind(value: Population | Synapse, known: Iterable[type[Any]], whose: str = "") -> str:
    """The message: where, what, and what there is."""
    if isinstance(value, Population):
        where = f"population {value.name}"
    else:
        where = f"synapse {value.source} -> {value.target}"
    place = f" in {whose}" if whose else ""
    return f"{where}: unknown kind {type(value).__name__}{place}; known: {', '.join(k.__name__ for k in known)}"
