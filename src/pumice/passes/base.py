"""What passes have in common."""

from __future__ import annotations

from typing import NamedTuple

from pumice.errors import GraphError
from pumice.ir import Graph


class PassResult(NamedTuple):
    """The graph after a pass.

    Attributes:
        graph: The new graph; the very same object if nothing changed.
        modified: Whether anything changed.
    """

    graph: Graph
    modified: bool


def check_unscheduled(graph: Graph) -> None:
    """Refuse a graph whose resets are scheduled: nothing may be moved in it any more.

    Raises:
        GraphError: It is.

    Example:
        >>> from pumice.ir.builder import chain
        >>> check_unscheduled(chain((4,), [3], seed=0))
    """
    if graph.timing is not None:
        raise GraphError(f"the graph is scheduled already, for {graph.timing}; start from one without a schedule")
