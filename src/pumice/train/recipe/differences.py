"""Where two recipes differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pumice.train.recipe.schema import IN_ORDER, Recipe


def different_keys(a: Recipe, b: Recipe) -> Iterator[str]:
    """Keys of one or the other that have not the same value, with dots between.

    Example:
        >>> list(different_keys(Recipe(), Recipe(seed=1, network={"args": {"channels": [2]}})))
        ['seed', 'network.args.channels']
    """
    return _different(a.model_dump(), b.model_dump(), "")


def _different(a: dict[str, Any], b: dict[str, Any], prefix: str) -> Iterator[str]:
    for key in {**a, **b}:
        mine, theirs, place = a.get(key), b.get(key), prefix + key
        if not (isinstance(mine, dict) and isinstance(theirs, dict)):
            if mine != theirs:
                yield place
        elif place in IN_ORDER and mine == theirs and [*mine] != [*theirs]:
            yield place
        else:
            yield from _different(mine, theirs, f"{place}.")
