import numpy as np
import pytest

from pumice.cli.layered import _rising, layered

COLUMN = 2.0


def test_a_chain_is_a_straight_line():
    x, bends = layered(range(5), [(i, i + 1) for i in range(4)], COLUMN)
    assert x == [0.0] * 5
    assert bends == [[]] * 4


def test_a_long_edge_leaves_room_for_the_boxes_that_it_passes():
    rows, edges = [0, 1, 2, 3], [(0, 1), (1, 2), (2, 3), (0, 3)]
    x, bends = layered(rows, edges, COLUMN)
    assert [row for _, row in bends[3]] == [1, 2]
    for bend, row in bends[3]:
        assert abs(bend - x[row]) >= 0.6 * COLUMN - 1e-9


def crossings(x, edges, rows):
    n = 0
    for i, (a, b) in enumerate(edges):
        for c, d in edges[i + 1 :]:
            n += rows[a] == rows[c] and (x[a] - x[c]) * (x[b] - x[d]) < 0
    return n


@pytest.mark.parametrize("seed", range(5))
def test_crossings_that_need_not_be_are_undone(seed):
    """Two rows whose edges are a permutation: sorted, none cross."""
    order = np.random.default_rng(seed).permutation(6)
    rows, edges = [0] * 6 + [1] * 6, [(i, 6 + int(j)) for i, j in enumerate(order)]
    x, _ = layered(rows, edges, COLUMN)
    assert crossings(x, edges, rows) == 0
    assert all(x[a] == x[b] for a, b in edges)


@pytest.mark.parametrize("seed", range(5))
def test_boxes_of_a_row_never_touch(seed):
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.integers(0, 6, 30)).tolist()
    edges = [(a, b) for a in range(30) for b in range(30) if rows[a] < rows[b] and rng.random() < 0.1]
    x, bends = layered(rows, edges, COLUMN)
    assert min(x) == 0
    for row in set(rows):
        inside = sorted(x[i] for i in range(30) if rows[i] == row)
        assert (np.diff(inside) >= COLUMN - 1e-5).all()
        points = [b for way in bends for b, r in way if r == row]
        assert all(abs(b - box) >= 0.6 * COLUMN - 1e-5 for b in points for box in inside)


def test_rising_is_the_closest_that_does_not_fall(rng):
    wanted = rng.normal(size=4)
    found = _rising(wanted)
    assert (np.diff(found) >= 0).all()
    error = ((found - wanted) ** 2).sum()
    for other in np.sort(rng.normal(size=(2000, 4)), axis=1):
        assert ((other - wanted) ** 2).sum() >= error - 1e-12
