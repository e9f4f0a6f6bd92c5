"""Places for the boxes of a layered drawing (K. Sugiyama, S. Tagawa and M. Toda, IEEE Trans. SMC 11, 1981).

An edge across several rows becomes a chain of points, one in each row between, which take part like boxes do. The
order within each row then follows the means of the neighbors in the row before, downwards and upwards in turns, and
the order with the fewest crossings is kept. Last, each row moves towards its neighbors as far as the gaps allow,
which is a least-squares problem that pooling neighbors solves (isotonic regression).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

SWEEPS = 24
GAPS = (1.0, 0.6, 0.2)
"""Between two boxes, a box and a point, two points; in units of the column."""

Floats = npt.NDArray[np.float64]


@dataclass
class _Rows:
    """Boxes are 0 to n - 1, points follow."""

    rows: list[list[int]]
    n_boxes: int
    above: dict[int, list[int]] = field(default_factory=dict)
    below: dict[int, list[int]] = field(default_factory=dict)

    def link(self, a: int, b: int) -> None:
        self.below.setdefault(a, []).append(b)
        self.above.setdefault(b, []).append(a)

    def crossings(self) -> int:
        """Pairs of edges between two rows whose ends are in opposite orders."""
        n = 0
        for row, after in pairwise(self.rows):
            at = {node: i for i, node in enumerate(after)}
            ends = np.array([at[b] for a in row for b in sorted(self.below.get(a, ()), key=at.__getitem__)])
            n += sum(int((ends[i + 1 :] < end).sum()) for i, end in enumerate(ends))
        return n


def layered(
    rows: Sequence[int], edges: Sequence[tuple[int, int]], column: float
) -> tuple[list[float], list[list[tuple[float, int]]]]:
    """Where boxes and the bends of edges stand.

    Args:
        rows: Row of each box.
        edges: Pairs of boxes, from a row to one further down.
        column: Least distance between the middles of two boxes of a row.

    Returns:
        x of each box, and for each edge (x, row) of its bends.

    Example:
        >>> layered([0, 1, 1, 2], [(0, 1), (0, 2), (1, 3), (2, 3)], 2.0)[0]
        [1.0, 0.0, 2.0, 1.0]
    """
    drawing = _Rows([[] for _ in range(max(rows, default=-1) + 1)], len(rows))
    for box, row in enumerate(rows):
        drawing.rows[row].append(box)
    chains: list[list[int]] = []
    n = len(rows)
    for a, b in edges:
        chain = [a, *range(n, n + rows[b] - rows[a] - 1), b]
        n += len(chain) - 2
        for row, point in enumerate(chain[1:-1], rows[a] + 1):
            drawing.rows[row].append(point)
        for one, other in pairwise(chain):
            drawing.link(one, other)
        chains.append(chain)
    _order(drawing)
    x = _align(drawing, n) * column
    x -= x[: len(rows)].min(initial=np.inf)
    places = [round(float(value), 6) for value in x]
    bends = [[(places[point], row) for row, point in enumerate(chain[1:-1], rows[chain[0]] + 1)] for chain in chains]
    return places[: len(rows)], bends


def _order(drawing: _Rows) -> None:
    best, fewest = [list(row) for row in drawing.rows], drawing.crossings()
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        down = sweep % 2 == 0
        neighbors = drawing.above if down else drawing.below
        for i in range(1, len(drawing.rows)) if down else range(len(drawing.rows) - 2, -1, -1):
            at = {node: float(k) for k, node in enumerate(drawing.rows[i - 1 if down else i + 1])}
            own = {node: float(k) for k, node in enumerate(drawing.rows[i])}
            drawing.rows[i].sort(key=lambda node: np.mean([at[m] for m in neighbors.get(node, ())] or [own[node]]))
        n = drawing.crossings()
        if n < fewest:
            best, fewest = [list(row) for row in drawing.rows], n
    drawing.rows = best


def _align(drawing: _Rows, n: int) -> Floats:
    """X of each box and point, in columns."""
    is_point = np.arange(n) >= drawing.n_boxes
    offsets = [
        np.cumsum([0.0, *(GAPS[int(is_point[a]) + int(is_point[b])] for a, b in pairwise(row))])[: len(row)]
        for row in drawing.rows
    ]
    x = np.zeros(n)
    for row, offset in zip(drawing.rows, offsets, strict=True):
        x[row] = offset - offset.mean() if row else offset
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        neighbors = drawing.above if down else drawing.below
        for i in range(1, len(drawing.rows)) if down else range(len(drawing.rows) - 2, -1, -1):
            row = drawing.rows[i]
            wanted = [np.mean(x[neighbors[node]]) if node in neighbors else x[node] for node in row]
            x[row] = _rising(np.array(wanted) - offsets[i]) + offsets[i]
    return x


def _rising(wanted: Floats) -> Floats:
    """The closest values that never fall: neighbors that would are pooled to their mean."""
    pools: list[tuple[float, int]] = []
    for value in wanted.tolist():
        total, size = value, 1
        while pools and pools[-1][0] * size > total * pools[-1][1]:
            before, its_size = pools.pop()
            total, size = total + before, size + its_size
        pools.append((total, size))
    return np.repeat([total / size for total, size in pools], [size for _, size in pools])
