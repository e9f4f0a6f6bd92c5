import re
import sys
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest

from pumice.ir import Accumulator, Conv, Cuba, Dense, Direct, Graph, Input, OneToOne, Reset, verify_graph
from pumice.netx import save

needs_matplotlib = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs the extra plot")
SHAPE = (4, 4, 2)


def residual_network(n_blocks):
    """A stem, blocks of two convolutions with a skip, and a recurrent dense layer before the read-out."""
    kernel = np.full((2, 3, 3, 2), 2)
    names = ["stem"]
    synapses = [Conv("input", "stem", graded=True, weight=kernel, padding=(1, 1))]
    for i in range(n_blocks):
        first, second, last = f"block{i}_a", f"block{i}_b", names[-1]
        synapses += [Conv(a, b, weight=kernel, padding=(1, 1)) for a, b in ((last, first), (first, second))]
        synapses.append(OneToOne(last, second, weight=2, balance_steps=1, target_channels=(0, 2)))
        names += [first, second]
    populations = [Cuba(n, SHAPE, 64, reset=Reset(16, 3)) for n in names]
    populations += [Cuba("head", (5,), 64), Accumulator("readout", (3,))]
    synapses += [
        Dense(names[-1], "head", weight=np.full((5, 32), 2), delay_steps=np.arange(32) % 4),
        Dense("head", "head", weight=np.full((5, 5), 2)),
        Dense("head", "readout", weight=np.full((3, 5), 2)),
    ]
    outputs = ("readout", "stem")
    return verify_graph(Graph(Input("input", SHAPE, (0, 16)), tuple(populations), tuple(synapses), outputs))


@needs_matplotlib
def test_a_deep_residual_network_is_legible():
    """Forty populations: no box touches another, and no arrow runs through a box."""
    from pumice.cli.plot import BOX_HEIGHT, BOX_WIDTH, arrange

    graph = residual_network(19)
    layout = arrange(graph)
    assert len(layout.places) == 42
    places = list(layout.places.items())
    for i, (_, (x0, y0)) in enumerate(places):
        for _, (x1, y1) in places[i + 1 :]:
            assert abs(x0 - x1) > BOX_WIDTH or abs(y0 - y1) > BOX_HEIGHT
    for (source, target), points in layout.routes.items():
        assert all(y0 < y1 for (_, y0), (_, y1) in pairwise(points))
        for x, y in points[1:-1]:
            crossed = [n for n, (bx, by) in places if abs(bx - x) < BOX_WIDTH / 2 and abs(by - y) < BOX_HEIGHT / 2]
            assert not crossed, f"{source} -> {target} runs through {crossed}"
    assert [latency for _, latency in layout.rows] == list(range(42))


@needs_matplotlib
def test_what_the_picture_says(tmp_path):
    from pumice.cli.plot import save_picture

    save_picture(residual_network(2), tmp_path / "a.svg")
    root = ET.parse(tmp_path / "a.svg").getroot()
    texts = ["".join(e.itertext()).strip() for e in root.iter("{http://www.w3.org/2000/svg}text")]
    for text in (
        "block1_b", "Cuba 4×4×2 · 32 neurons", "reset each 16 at 3", "no reset", "input", "values 0 to 16",
        "output 1", "output 2", "latency 3", "Conv 2×3×3×2", "graded", "balance 1, into channels 0 to 1",
        "Dense 5×32", "delay 0 to 3", "Dense 5×5", "Accumulator 3 · 3 neurons",
    ):  # fmt: skip
        assert text in texts
    assert [p.name for p in tmp_path.iterdir()] == ["a.svg"]


@needs_matplotlib
def test_a_direct_input_stands_above_its_population(tmp_path):
    from pumice.cli.plot import arrange

    graph = Graph(Input("input", (3,)), (Cuba("a", (3,), 1),), (Direct("input", "a"),), ("a",))
    places = arrange(graph).places
    assert places["input"][1] < places["a"][1]


@needs_matplotlib
def test_command(command, refused, graph, tmp_path):
    save(graph, tmp_path / "a.net")
    code, out, err = command("inspect a.net --plot a.svg")
    assert (code, err) == (0, "")
    assert "dense0" in out
    first = (tmp_path / "a.svg").read_text()
    assert re.search(r"<svg[ >]", first)
    assert "must name a file that ends in .svg" in refused("inspect a.net --plot a.png")
    assert "cannot be written" in refused("inspect a.net --plot nowhere/a.svg")
    command("inspect a.net --plot a.svg")
    assert (tmp_path / "a.svg").read_text() == first


def test_without_the_extra(refused, graph, tmp_path, monkeypatch):
    save(graph, tmp_path / "a.net")
    monkeypatch.delitem(sys.modules, "pumice.cli.plot", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pumice[plot]" in refused("inspect a.net --plot a.svg")
