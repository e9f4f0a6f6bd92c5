import numpy as np
import pytest

from pumice.backends.lava import LavaBackend, backend
from pumice.backends.lava.footprint import processes_bytes
from pumice.errors import ResourceError
from pumice.files import limits
from pumice.ir import Conv, Cuba, Dense, Graph, Input, OneToOne

pytestmark = pytest.mark.lava


def one(synapse, source, target):
    return Graph(Input("input", source), (Cuba("a", target, 5),), (synapse,), ("a",))


@pytest.mark.parametrize(
    ("graph", "weights", "values"),
    [
        (one(Dense("input", "a", weight=np.ones((3, 4), int)), (4,), (3,)), 12, 7),
        (one(Dense("input", "a", weight=np.ones((3, 4), int), delay_steps=9), (4,), (3,)), 120, 7),
        (one(Conv("input", "a", weight=np.ones((2, 3, 3, 1), int)), (8, 8, 1), (6, 6, 2)), 18, 136),
        (one(OneToOne("input", "a", weight=2, delay_steps=9), (8, 8, 1), (8, 8, 1)), 64, 128),
    ],
    ids=["dense", "delayed", "conv", "one to one"],
)
def test_weights_and_channels(graph, weights, values):
    assert processes_bytes(graph) == 4 * (weights + 64 * values)


def test_a_run_that_no_memory_holds_is_refused_before_it_starts(monkeypatch):
    """For a delay Lava has a matrix of weights for each step: more than the graph itself takes."""
    graph = one(Dense("input", "a", weight=np.ones((50, 50), int), delay_steps=62), (50,), (50,))
    monkeypatch.setattr(limits, "available_bytes", lambda: 300_000)
    monkeypatch.setattr(backend, "supervise", lambda *_: pytest.fail("it was started"))
    with pytest.raises(ResourceError, match=r"a Lava run of 10 steps would take about .* do not record"):
        LavaBackend().run(graph, np.zeros((10, 50), int), record=True)
