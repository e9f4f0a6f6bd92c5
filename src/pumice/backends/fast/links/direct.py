"""The input as an activation."""

from __future__ import annotations

from collections.abc import Iterator

from pumice.backends.fast.links.base import Array, Ends, Link
from pumice.ir import Direct


class DirectLink(Link):
    """The input's values are the activation."""

    def _add(self, arriving: Array, activation: Array) -> None:
        activation += arriving[:, : self.ends.n_source]


def prepare_direct(s: Direct, ends: Ends) -> Iterator[Link]:
    """One link, without delay."""
    yield DirectLink(s, ends, 0)
