"""What a pass returns."""

from __future__ import annotations

from typing import NamedTuple

from pumice.ir import Graph


class PassResult(NamedTuple):
    """The graph after a pass.

    Attributes:
        graph: The new graph; the very same object if nothing changed.
        modified: Whether anything changed.
    """

    graph: Graph
    modified: bool
