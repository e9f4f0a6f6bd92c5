"""A NIR graph in the making: nodes of unique names, and edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.ir import flatten_whc
from pumice.nir.reader import NirFile, NirNode

FloatArray = npt.NDArray[np.float64]
Shape = tuple[int, ...]


class Drawing:
    """Collects nodes and edges.

    Attributes:
        where: What is exported, for messages.
        dt: Length of a step.
    """

    def __init__(self, where: str, dt: float) -> None:
        self.where, self.dt = where, dt
        self._nodes: dict[str, NirNode] = {}
        self._edges: dict[tuple[str, str], None] = {}
        self._reserved: set[str] = set()

    def reserve(self, wanted: str) -> str:
        """A name that no other node gets."""
        name, number = wanted, 2
        while name in self._reserved:
            name, number = f"{wanted}_{number}", number + 1
        self._reserved.add(name)
        return name

    def put(self, name: str, kind: str, **fields: Any) -> str:
        """A node of a reserved name."""
        self._nodes[name] = NirNode(name, kind, fields, f"{self.where}: {name}")
        return name

    def add(self, source: str, wanted: str, kind: str, **fields: Any) -> str:
        """A node behind another one; its name is like the wanted one."""
        name = self.put(self.reserve(wanted), kind, **fields)
        self.connect(source, name)
        return name

    def connect(self, source: str, target: str) -> None:
        """An edge."""
        self._edges[source, target] = None

    def connected(self, source: str, target: str) -> bool:
        """Whether there is this edge; NIR has one at most."""
        return (source, target) in self._edges

    def file(self) -> NirFile:
        """All of it."""
        return NirFile(self.where, dict(self._nodes), tuple(self._edges))


def nir_shape(shape: Shape, flat: bool) -> Shape:
    """(x, y, channel) -> (C, H, W), or the number of neurons."""
    return (int(np.prod(shape)),) if flat else shape[::-1]


def nir_order(values: Any, shape: Shape, flat: bool) -> FloatArray:
    """Values that broadcast against a graph's shape, in NIR's order."""
    whole = np.broadcast_to(np.asarray(values, np.float64), shape)
    return np.array(flatten_whc(whole) if flat else whole.transpose())
